"""Writes files with personal data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def private_file(file: Path) -> Iterator[BinaryIO]:
    """A file that only its owner can read, even if another file was there before.

    The data goes to a file with the suffix `.part`, which gets its real name when it is complete. So an incomplete file never has the
    real name. A pipe or a terminal is written to directly.
    """
    if file.exists() and not file.is_file():
        with file.open("wb") as target:
            yield target
        return
    file = file.resolve()  # So that the target of a link is replaced, not the link.
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            os.fchmod(target.fileno(), 0o600)  # A leftover file keeps its old mode when it is opened.
            yield target
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
