"""A real Chromium, pages to run scripts in, and what a page may not do unseen."""

import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Request, async_playwright

from tests.support.counterparts import counterpart, missing

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


NODE_MODULES = Path(__file__).parents[1] / "clients" / "node_modules"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RULES = {"light": LEVELS, "dark": {"type": "rule", "values": ["color-contrast"]}}
"""What axe-core looks at: everything in the light scheme, and what the other scheme can change."""


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser that several pages share, or several tests."""
    # The shell is the same Chromium without a user interface. It takes half of the processor time.
    program = "chromium-headless-shell" if shutil.which("chromium-headless-shell") else "chromium"
    chromium = counterpart(program, "Chromium isn't there: install Debian's chromium-headless-shell")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            yield launched
        finally:
            await launched.close()


@asynccontextmanager
async def page(address: str) -> AsyncIterator[Page]:
    """The page at this address, in a browser of its own."""
    async with browser() as launched:
        opened = await launched.new_page(ignore_https_errors=True)
        await opened.goto(address)
        yield opened


@dataclass
class Watched:
    """What pages have done: their requests, and what the console says is wrong."""

    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        # Playwright marks its handlers, which a built-in method can't take.
        page.on("request", lambda request: self.requests.append(request))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )

    def origins(self) -> set[str]:
        return {"/".join(request.url.split("/")[:3]) for request in self.requests}


async def findings(page: Page, scheme: str = "light") -> list[str]:
    """What axe-core finds wrong with the page by WCAG 2.2, levels A and AA."""
    axe = counterpart_file("axe-core/axe.min.js")
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe.read_text() + "; 0")
    found = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES[scheme])
    assert found["passes"], "axe-core has looked at nothing"
    return [
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def counterpart_file(name: str) -> Path:
    """A file of a package from npm."""
    if not (NODE_MODULES / name).exists():
        missing(f"{name.split('/')[0]} isn't there: `make clients` installs it")
    return NODE_MODULES / name


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>An application</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def application() -> Iterator[int]:
    """The port of a web server on loopback, every page of which is empty."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
