"""Programs of others that tests work with: there, or the test is skipped and says how to get them."""

import os
import shutil
from pathlib import Path

import pytest


def counterpart(program: str | Path, sentence: str) -> Path:
    """The program's path. Where `COUNTERPARTS=required`, as in CI, a missing one fails the test."""
    found = shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get("COUNTERPARTS") == "required" else pytest.skip)(sentence)
    return Path(found)
