"""How long a test goes on: a few rounds in `make test`, many in `make soak`. It asserts the same in both."""

import os
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

SOAK: Final = bool(os.environ.get("SOAK"))

soak = pytest.mark.soak
"""Marks what `make soak` runs."""


def rounds(few: T, many: T) -> T:
    return many if SOAK else few
