"""A service in development mode and a browser, for all tests of a file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import browser
from tests.support.catalogues import publish
from tests.support.server import Server


@pytest.fixture(scope="module")
def development(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service in development mode. A page of `http://app.example.com` may call it."""
    url = new_database()
    asyncio.run(publish(url))
    settings = {"clerk_issuer": None, "clerk_jwt_key": None, "data_dir": tmp_path_factory.mktemp("data")}
    with Server(url, **settings, cors_origins="http://app.example.com") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One browser. A test that uses it is marked `asyncio(loop_scope="module")`, because the browser belongs to that loop."""
    async with browser() as launched:
        yield launched
