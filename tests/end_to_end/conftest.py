import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory import in_memory


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every account reaches, unlike pytest's own: for root, PostgreSQL runs as another."""
    folder = Path(tempfile.mkdtemp(prefix="preferences-test-", dir=in_memory())).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
