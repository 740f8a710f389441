"""Refuses misspelt words in options, such as an unknown channel. The command then shows its usage."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from domain.errors import ValidationFailed


@contextmanager
def refusing_misspelt() -> Iterator[None]:
    """Turn a `ValidationFailed` into exit code 2, with a phrase for each wrong option."""
    try:
        yield
    except ValidationFailed as error:
        raise typer.BadParameter("; ".join(f"{field}: {phrase}" for field, phrase in error.details.items())) from None
