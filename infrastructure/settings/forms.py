"""The forms in which the environment has settings: lists with commas, and an empty value for a setting that isn't set."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def listed(value: object) -> object:
    """The parts of a text between its commas. Any other value stays as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _unset(value: object) -> object:
    return None if value == "" else value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]
DistinctTexts = Annotated[frozenset[str], NoDecode, BeforeValidator(listed)]
OptionalText = Annotated[str | None, BeforeValidator(_unset)]
OptionalPath = Annotated[Path | None, BeforeValidator(_unset)]
