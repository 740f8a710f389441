"""A request of a page whose answer comes late."""

import asyncio
from dataclasses import dataclass, field

from playwright.async_api import Page, Request, Route

DRAWN = "new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))"


@dataclass
class HeldRequest:
    """The next request of its kind. `asked`: the page has sent it. With `status`, that is the answer, and the service is not asked."""

    page: Page
    method: str
    path: str
    status: int | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _arrives: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def let_go(self) -> None:
        """Lets it go, also if the page waits for it no longer."""
        self._arrives.set()
        await self._gone.wait()

    async def arrive(self) -> None:
        """Lets it go. Afterwards the page has taken its answer."""
        async with self.page.expect_response(lambda answer: self.is_it(answer.request)) as answered:
            await self.let_go()
        answer = await answered.value
        # Chromium reports no end of an answer that has no body.
        if answer.status != 304:
            await answer.finished()
        await self.page.evaluate(DRAWN)

    async def hold(self, route: Route) -> None:
        if self.asked.is_set() or not self.is_it(route.request):
            await route.fallback()
            return
        self.asked.set()
        await self._arrives.wait()
        try:
            await (route.continue_() if self.status is None else route.fulfill(status=self.status, json={}))
        finally:
            self._gone.set()

    def is_it(self, request: Request) -> bool:
        return request.method == self.method and request.url.split("?")[0].endswith(self.path)


async def held(page: Page, method: str, path: str, status: int | None = None) -> HeldRequest:
    waiting = HeldRequest(page, method, path, status)
    await page.route(f"**{path}*", waiting.hold)
    return waiting
