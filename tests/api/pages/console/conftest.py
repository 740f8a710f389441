"""The service that the tests of the console share."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.command import Command
from tests.support.console_log import fill_console
from tests.support.console_page import Console
from tests.support.server import Server


@pytest.fixture(scope="module")
def console(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A service in development mode whose log is signed."""
    url, data_dir = new_database(), tmp_path_factory.mktemp("data")
    fill_console(url)
    command = Command(data_dir, url)
    assert command("audit", "checkpoint").returncode == 0
    key = command("audit", "public-key").stdout.strip()
    with Server(url, clerk_issuer=None, clerk_jwt_key=None, data_dir=data_dir) as server:
        yield Console(server, key)
