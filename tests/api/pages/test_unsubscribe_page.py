"""The page of an unsubscribe link in a real browser: without scripts, by keyboard, for every eye and on a small screen."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from domain.catalogue import CATALOGUE
from infrastructure.unsubscribe.link_key import of_data_dir
from infrastructure.unsubscribe.sealed_tokens import SealedTokens
from tests.support.browser import Watched, findings
from tests.support.nginx import Nginx
from tests.support.server import PATH, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEWS = CATALOGUE.toggle("email", "product_updates")
NARROW = {"width": 320, "height": 640}
SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def address(development: Server) -> Callable[..., str]:
    """The address of a link, made with the key of the service's data directory."""

    def make(user: str = "user_ada", toggle: str = NEWS.name) -> str:
        tokens = SealedTokens([of_data_dir(Path(development.environment["DATA_DIR"]))])
        [token] = tokens.make("org_math", f"email.{toggle}", [user])
        return f"{development.url}/unsubscribe/{token}"

    return make


@pytest_asyncio.fixture(loop_scope="module")
async def visit(chromium: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Opens an address in a browser of a person who was never here, with the settings given."""
    contexts = []

    async def open_page(address: str, watched: Watched | None = None, **settings: Any) -> Page:
        context = await chromium.new_context(**settings)
        contexts.append(context)
        page = await context.new_page()
        if watched is not None:
            watched.watch(page)
        await page.goto(address)
        return page

    yield open_page
    for context in contexts:
        await context.close()


async def enabled(development: Server, user: str) -> bool:
    async with httpx.AsyncClient(base_url=development.url) as http:
        session = {"user": user, "organization": "org_math"}
        signed_in = await http.post("/development/session", json=session, headers={"Origin": development.url})
        token = signed_in.json()["data"]["token"]
        answer = await http.get(PATH, headers={"Authorization": f"Bearer {token}"})
        return answer.json()["data"]["email"][NEWS.name]


async def test_a_person_without_scripts_and_without_a_mouse_unsubscribes(development, address, visit) -> None:
    # Given a person whose browser runs no scripts, and who opens the link of a mail
    user, watched = "user_keyboard", Watched()
    page = await visit(address(user), watched, java_script_enabled=False, viewport=NARROW)
    assert await page.title() == f"Unsubscribe from “{NEWS.title}”?"
    assert await page.locator("h1").inner_text() == await page.title()
    assert await enabled(development, user)
    # when the first key leads to the button, and the second presses it,
    await page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Unsubscribe")
    assert await button.and_(page.locator(":focus")).count() == 1
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    # then it is done, and the page says so, at the same address,
    assert await page.locator("h1").inner_text() == "You are unsubscribed"
    assert page.url == address(user)
    assert not await enabled(development, user)
    # and the browser was asked to keep nothing, and to ask nobody else.
    assert await page.context.cookies() == []
    assert watched.origins() == {development.url}
    assert not any(request.headers.get("referer") for request in watched.requests)
    assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_state_of_the_page_can_be_read_by_everybody(address, visit, scheme: str) -> None:
    watched = Watched()
    page = await visit(address(), watched, color_scheme=scheme, viewport=NARROW)
    expected = {
        address(): f"Unsubscribe from “{NEWS.title}”?",
        address(toggle="holiday_greetings"): "These e-mails aren't sent any more",
        address(toggle="security_alerts"): "These messages are always sent",
        f"{address()}A": "This link doesn't work",
    }
    for opened, title in expected.items():
        await page.goto(opened)
        assert await page.title() == title
        await looked_at(page, scheme)
    await page.goto(address(f"user_{scheme}"))
    await page.get_by_role("button").click()
    assert await page.title() == "You are unsubscribed"
    await looked_at(page, scheme)
    await page.locator("a").click()
    assert page.url.endswith("/preferences")
    assert [said for said in watched.complaints if "404" not in said] == []


async def looked_at(page: Page, scheme: str) -> None:
    assert await findings(page, scheme) == []
    # Nothing is cut off on a narrow screen, whether its text is as large as usual or twice as large.
    for size in ("100%", "200%"):
        await page.evaluate("size => document.documentElement.style.fontSize = size", size)
        assert not await page.evaluate(SIDEWAYS), f"{await page.title()} at {size}"


async def test_below_a_prefix_of_a_proxy_everything_works_too(development, address, visit, tmp_path) -> None:
    with Nginx(development.url, tmp_path) as proxy:
        watched = Watched()
        page = await visit(address("user_below").replace(development.url, f"{proxy.url}/below"), watched)
        await page.get_by_role("button").click()
        assert await page.title() == "You are unsubscribed"
        assert {request.url.startswith(f"{proxy.url}/below/") for request in watched.requests} == {True}
        assert any(request.url.endswith(".css") for request in watched.requests)
        assert watched.complaints == []
    assert not await enabled(development, "user_below")
