"""Words that nothing can be found by: the command is at fault, and its usage is shown."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from domain.errors import ValidationFailed


@contextmanager
def refusing_misspelt() -> Iterator[None]:
    """Exit code 2, with what is wrong about each option."""
    try:
        yield
    except ValidationFailed as error:
        raise typer.BadParameter("; ".join(f"{field}: {phrase}" for field, phrase in error.details.items())) from None
