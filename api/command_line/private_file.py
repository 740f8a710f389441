"""Files with what is known of people."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def private_file(file: Path) -> Iterator[BinaryIO]:
    """For its owner alone, whatever stood in its place. Under its name there is never half of it: it is written beside it, and
    gets its name when it is whole. A pipe or a terminal is written to as it is."""
    if file.exists() and not file.is_file():
        with file.open("wb") as target:
            yield target
        return
    file = file.resolve()  # what a link leads to is replaced, not the link
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            os.fchmod(target.fileno(), 0o600)  # one that was left there has the mode that it had
            yield target
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
