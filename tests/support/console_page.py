"""The console in a browser, with an officer who has signed in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
from playwright.async_api import Browser, Page

from tests.support.browser import Watched
from tests.support.console_log import ORGANIZATION
from tests.support.server import Server

ADA = "?view=user&user=user_ada"


class Console(NamedTuple):
    server: Server
    public_key: str


def token(console: Console, organization: str = ORGANIZATION, role: str = "admin") -> dict[str, Any]:
    """What the sign-in form of development mode gets and keeps."""
    asked = {"user": "user_grace", "organization": organization, "role": role}
    answer = httpx.post(f"{console.server.url}/development/session", json=asked, headers={"Origin": console.server.url})
    return {**answer.json()["data"], "user": "user_grace", "organization": organization}


@asynccontextmanager
async def officer(
    chromium: Browser,
    console: Console,
    query: str = "view=log",
    organization: str = ORGANIZATION,
    role: str = "admin",
    **how: Any,
) -> AsyncIterator[tuple[Page, Watched]]:
    """A page on which an officer has signed in. At its end it has asked nobody else, and nothing was wrong in the browser."""
    context = await chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    made = json.dumps(json.dumps(token(console, organization, role)))
    await context.add_init_script(f"sessionStorage.setItem('preferences.development-session', {made})")
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    await page.goto(f"{console.server.url}/console?{query}")
    await shown(page)
    yield page, watched
    assert watched.origins() <= {console.server.url, "blob:http:"}, watched.origins()
    await context.close()


async def shown(page: Page) -> None:
    """The view that the address names is there."""
    await page.wait_for_selector("main:not([aria-busy]) .view h2")


def query_of(page: Page) -> dict[str, str]:
    return dict(httpx.URL(page.url).params)


async def cells(page: Page, column: str) -> list[str]:
    return await page.locator(f'.view table.dense td[data-column="{column}"]').all_inner_texts()
