"""Fixtures for tests of pages: a service in development mode, another web server whose pages may call it, and a browser."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from examples.preferences_element.pages import serving
from tests.support.browser import browser
from tests.support.catalogues import publish
from tests.support.preferences_page import CHANGES_A_MINUTE
from tests.support.server import Server


@pytest.fixture(scope="session")
def dashboard() -> Iterator[str]:
    """The origin of the example pages."""
    with serving(0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def development(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory, dashboard: str
) -> Iterator[Server]:
    """The service. All tests of pages in a process share it, so each takes users of its own."""
    url = new_database()
    asyncio.run(publish(url))
    settings = {"clerk_issuer": None, "clerk_jwt_key": None, "data_dir": tmp_path_factory.mktemp("data")}
    with Server(url, **settings, cors_origins=dashboard, change_rate_limit=CHANGES_A_MINUTE) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """A browser for all tests of a file. They are marked `asyncio(loop_scope="module")`, because it belongs to that loop."""
    async with browser() as launched:
        yield launched
