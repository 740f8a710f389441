"""The page /preferences of a service in development mode, as one person uses it."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from playwright.async_api import Browser, BrowserContext, Locator, Page

from tests.support.browser import Watched
from tests.support.server import PATH, Server

ORGANIZATION = "org_demo"
CHANGES_A_MINUTE = 6
"""What one person may do in the service that all tests of pages share."""
_NUMBERS = itertools.count(1)


class PreferencesPage:
    """`page` shows the preferences of `user`. `context` is the browser that the person's tabs share."""

    def __init__(self, server: Server, context: BrowserContext, page: Page, watched: Watched) -> None:
        self.server, self.context, self.page, self.watched = server, context, page, watched
        self.user = f"user_page_{next(_NUMBERS)}"

    def switch(self, toggle: str) -> Locator:
        return self.page.locator(f'[id="email.{toggle}"]')

    async def is_on(self, toggle: str) -> bool:
        return await self.switch(toggle).get_attribute("aria-checked") == "true"

    async def becomes(self, toggle: str, state: bool) -> None:
        await self.page.locator(f'[id="email.{toggle}"][aria-checked="{str(state).lower()}"]').wait_for()

    async def settled(self) -> None:
        """Waits until nothing is being saved."""
        await self.page.locator("[data-waiting]").first.wait_for(state="detached")

    async def says(self, text: str, role: str = "status") -> None:
        """Waits until a screen reader is told so."""
        await self.page.locator(f"notification-preferences [role={role}]", has_text=text).wait_for(state="attached")

    async def sign_in(self, user: str | None = None, organization: str = ORGANIZATION) -> None:
        await self.page.get_by_label("User").fill(user or self.user)
        await self.page.get_by_label("Organization").fill(organization)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("switch").first.wait_for()

    async def focused(self) -> str:
        """The id of what has the focus, also inside the element."""
        return await self.page.evaluate(
            "(document.activeElement.shadowRoot?.activeElement ?? document.activeElement).id"
        )

    def sent(self, method: str) -> list[Any]:
        return [one for one in self.watched.requests if one.method == method and one.url.endswith(PATH)]

    async def api(self, method: str, path: str = PATH, body: Any = None) -> dict[str, Any]:
        """What the person does in another place."""
        async with httpx.AsyncClient(base_url=self.server.url, timeout=10) as http:
            asked = {"user": self.user, "organization": ORGANIZATION, "role": ""}
            made = await http.post("/development/session", json=asked, headers={"Origin": self.server.url})
            caller = {"Authorization": f"Bearer {made.json()['data']['token']}"}
            answer = await http.request(method, path, json=body, headers=caller)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

    async def recorded(self) -> dict[str, bool]:
        return (await self.api("GET"))["email"]


@asynccontextmanager
async def preferences_page(
    server: Server, browser: Browser, *, signed_in: bool = True, width: int = 1100, **options: Any
) -> AsyncIterator[PreferencesPage]:
    context = await browser.new_context(viewport={"width": width, "height": 900}, **options)
    try:
        page, watched = await context.new_page(), Watched()
        watched.watch(page)
        await page.goto(f"{server.url}/preferences")
        opened = PreferencesPage(server, context, page, watched)
        await page.get_by_role("button", name="Sign in").wait_for()
        if signed_in:
            await opened.sign_in()
        yield opened
    finally:
        # A handler that is still at work would fail in whichever test comes next.
        for each in context.pages:
            await each.unroute_all(behavior="ignoreErrors")
        await context.close()
