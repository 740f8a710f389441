"""Folders for servers, none of which outlives its test."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.embedded_servers import copy, end_servers_below, write
from tests.support.memory import in_memory


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account reaches, unlike pytest's own, and that leaves no server behind."""
    folder = Path(tempfile.mkdtemp(prefix="preferences-test-", dir=in_memory())).resolve()
    folder.chmod(0o777)
    yield folder
    for note in folder.rglob("location.txt"):
        elsewhere = Path(note.read_text().splitlines()[0])
        end_servers_below(elsewhere)
        shutil.rmtree(elsewhere)
        with suppress(OSError):
            elsewhere.parent.rmdir()  # Only when it served this test alone.
    end_servers_below(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def first_start() -> Iterator[Path]:
    """A data folder after its first start and stop, to copy from: that is quicker than to start first each time."""
    with tempfile.TemporaryDirectory(prefix="preferences-test-", dir=in_memory()) as name:
        Path(name).chmod(0o777)
        with EmbeddedPostgres(Path(name, "data")) as server:
            write(server)
        yield Path(name, "data")
        end_servers_below(Path(name))


@pytest.fixture
def data_dir(folder: Path, first_start: Path) -> Path:
    """A data folder that has been used before, and that keeps a word."""
    return copy(first_start, folder / "data")
