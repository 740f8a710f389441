"""Programs of others that tests work with: there, or the test is skipped and says how to get them."""

import os
import shutil
from pathlib import Path

import pytest

ALSO_IN = "/usr/sbin:/sbin"
"""Where Debian puts servers, and where not every account looks."""


def counterpart(program: str | Path, sentence: str) -> Path:
    """The program's path. Where `COUNTERPARTS=required`, as in CI, a missing one fails the test."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:{ALSO_IN}")
    if found is None:
        missing(sentence)
    return Path(found)


def missing(sentence: str) -> None:
    """Ends the test."""
    (pytest.fail if os.environ.get("COUNTERPARTS") == "required" else pytest.skip)(sentence)
