"""Fixtures for tests of pages: a service in development mode, another web server whose pages may call it, and a browser."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from typing_extensions import override

from examples.preferences_element.pages import Pages
from tests.support.browser import browser
from tests.support.catalogues import publish
from tests.support.preferences_page import CHANGES_A_MINUTE
from tests.support.server import Server

STRICT = """<!doctype html><html lang="en"><title>Settings</title><link rel="icon" href="data:,"><h1>Settings</h1>
<notification-preferences></notification-preferences>
<script type="module" src="{service}/elements/notification-preferences.js"></script>
<script type="module" nonce="own">
  document.querySelector("notification-preferences").getToken = () => location.hash.slice(1);
</script>"""
POLICY = (
    "default-src 'none'; img-src data:; script-src 'nonce-own' {service}; connect-src {service}; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class _Dashboard(Pages):
    """The example pages, and `/strict.html?service=…`, whose policy allows nothing but its own script and the service."""

    @override
    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path != "/strict.html":
            super().do_GET()
            return
        [service] = parse_qs(address.query)["service"]
        body = STRICT.format(service=service).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY.format(service=service))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def dashboard() -> Iterator[str]:
    """The origin of the example pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Dashboard) as server:
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
