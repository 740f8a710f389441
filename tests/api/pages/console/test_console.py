"""The console in a real browser, as a compliance officer uses it."""

import gzip
import re

import pytest
from playwright.async_api import Browser, Page, expect

from api.pages.assets import published as published_assets
from tests.support.browser import Watched, findings
from tests.support.console_log import ORGANIZATION
from tests.support.console_page import Console, officer, shown
from tests.support.held_request import DRAWN, held

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWS = {
    "log": "view=log",
    "a filtered log": "view=log&toggle=product_updates&enabled=false",
    "one user": "view=user&user=user_ada",
    "a difference": "view=user&user=user_ada&as_of=2026-02-14T08:01:00.123456Z&compare=now",
    "evidence": "view=evidence&user=user_ada",
    "over time": "view=time",
    "readings": "view=reads",
}
MOST_JAVASCRIPT = 40_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_view_has_a_barrier(scheme: str, chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, color_scheme=scheme) as (page, watched):
        for name, query in VIEWS.items():
            await page.goto(f"{console.server.url}/console?{query}")
            await shown(page)
            assert await findings(page, scheme) == [], name
        assert watched.complaints == []


async def test_a_narrow_window_and_large_text_need_no_sideways_scrolling(chromium: Browser, console: Console) -> None:
    sideways = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    async with officer(chromium, console, viewport={"width": 320, "height": 640}) as (page, _):
        for name, query in VIEWS.items():
            await page.goto(f"{console.server.url}/console?{query}")
            await shown(page)
            assert not await page.evaluate(sideways), f"{name} at 320 px"
            await page.set_viewport_size({"width": 640, "height": 640})
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert not await page.evaluate(sideways), f"{name} with text of 200 %"
            await page.set_viewport_size({"width": 320, "height": 640})


async def test_all_is_done_by_keyboard_with_the_focus_where_it_is_expected(chromium: Browser, console: Console) -> None:
    # Given nobody signed in
    context = await chromium.new_context()
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    await page.goto(f"{console.server.url}/console")

    async def focused() -> str:
        return await page.evaluate("(document.activeElement.id || document.activeElement.textContent).trim()")

    async def tab_to(name: str) -> None:
        for _ in range(150):
            if await focused() == name:
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"{name} can't be reached by Tab: the focus is on {await focused()}")

    # when a person signs in with the keyboard,
    await page.wait_for_selector("#sign-in-user")
    await tab_to("sign-in-organization")
    await page.keyboard.press("Control+A")
    await page.keyboard.type(ORGANIZATION)
    await page.keyboard.press("Tab")  # the role that may read the audit log is chosen already
    await page.keyboard.press("Enter")
    await shown(page)
    # goes to another view, then its heading has the focus,
    await tab_to("One user")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#user")
    assert await focused() == "One user"
    assert await page.evaluate("document.activeElement.tagName") == "H2"
    await tab_to("user")
    await page.keyboard.type("user_ada")
    await page.keyboard.press("Enter")
    # and in the same view the focus stays where it was.
    await page.wait_for_selector("#as_of")
    assert await focused() == "user"
    await tab_to("comparing")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#compare")
    assert await focused() == "comparing"
    # A table that scrolls can be reached, too; and signing out ends at the form.
    await tab_to("Sign out")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#sign-in-user")
    assert "user_ada" not in await page.locator("main").inner_text()
    assert watched.complaints == []
    await context.close()


async def test_a_view_that_fails_has_the_focus_and_the_next_one_too(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, _):
        # Given a service that can't answer the question of a view
        await page.route("**/v1/audit-log/summary*", lambda route: route.abort())
        heading = "document.activeElement.localName + ' ' + document.activeElement.textContent"
        await page.get_by_role("link", name="Over time").press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("The service can't be reached.")
        assert await page.evaluate(heading) == "h2 Over time"
        await page.get_by_role("link", name="Who has read").press("Enter")
        await expect(page.get_by_role("heading", name="Who has read")).to_be_focused()


async def sign_in(page: Page, user: str) -> None:
    await page.locator("#sign-in-user").fill(user)
    await page.get_by_label("Organization").fill(ORGANIZATION)
    await page.get_by_label("Compliance").check()
    await page.get_by_role("button", name="Sign in").click()
    await shown(page)


async def test_what_an_officer_asked_for_is_not_asked_for_the_next_one(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, watched):
        # Given an officer whose session is refused when they export the log
        await page.route(
            "**/v1/audit-log*",
            lambda route: (
                route.fulfill(status=401, json={})
                if route.request.headers["accept"] == "text/csv" and len(exports(watched)) == 1
                else route.continue_()
            ),
        )
        await page.get_by_role("button", name="Export CSV").click()
        # when another officer signs in on that page,
        await sign_in(page, "user_next")
        await expect(page.locator(".signed-in")).to_contain_text("user_next")
        # then nothing is exported in their name,
        await page.evaluate(DRAWN)
        assert len(exports(watched)) == 1
        # unless they ask for it (the negative control).
        async with page.expect_download():
            await page.get_by_role("button", name="Export CSV").click()
        assert len(exports(watched)) == 2


def exports(watched: Watched) -> list[str]:
    return [one.url for one in watched.requests if one.headers.get("accept") == "text/csv"]


async def test_an_officer_whose_session_is_refused_twice_signs_in_once(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, _):
        # Given a view that asks two questions, both of which the service refuses, the second one late
        first = await held(page, "GET", "/v1/audit-log", status=401)
        second = await held(page, "GET", "/v1/audit-log/catalogues", status=401)
        await page.reload(wait_until="commit")
        await second.asked.wait()
        await first.let_go()
        await page.locator("#sign-in-user").wait_for()
        # when the second refusal arrives while the page waits for the officer to sign in,
        await second.let_go()
        await page.evaluate("fetch('/healthz')")
        await page.evaluate(DRAWN)
        # then there is one form, in a page that isn't busy.
        assert await page.locator("#sign-in-user").count() == 1
        assert await page.locator("main").get_attribute("aria-busy") is None
        await sign_in(page, "user_grace")
        assert await page.locator("table.dense tbody tr").count() > 0


async def test_who_may_not_read_is_told_so(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, role="member") as (page, watched):
        await expect(page.get_by_role("alert")).to_contain_text("may not read the audit log")
        assert await page.locator("table").count() == 0
        watched.complaints.clear()


async def test_its_javascript_is_small() -> None:
    """All files that the console loads, as they are sent."""
    assets = published_assets()
    loaded: set[str] = set()
    waiting = ["console.js"]
    while waiting:
        name = waiting.pop()
        if name not in loaded:
            loaded.add(name)
            script = assets._by_address["assets", name].content.decode()
            waiting += [
                f"{stem}.js"
                for stem in re.findall(r'^(?:import|export).*?/([\w]+)\.[0-9a-f]{16}\.js"', script, re.MULTILINE)
            ]
    assert {"verify.js", "session.js", "time_view.js", "merkle.js"} <= loaded
    sent = sum(len(gzip.compress(assets._by_address["assets", name].content, 9)) for name in loaded)
    assert sent <= MOST_JAVASCRIPT, f"{sent} bytes in {len(loaded)} files"
