"""What the element shows of a person's own changes, with `history`."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from infrastructure.unsubscribe.link_key import of_data_dir
from infrastructure.unsubscribe.sealed_tokens import SealedTokens
from tests.support.links import ONE_CLICK
from tests.support.preferences_page import ORGANIZATION, preferences_page
from tests.support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_why_a_toggle_is_on_and_what_was_changed(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        why = opened.page.locator("[part=toggle]", has_text="Weekly usage digest").locator(".why")
        # Given a person who has not chosen
        await why.locator("summary").click()
        await why.get_by_text("You have not chosen. It is off unless you switch it on.").wait_for()
        assert await why.locator("summary").inner_text() == "Why is this off?"
        # when they choose, then the reason changes with it,
        await opened.switch("weekly_usage_digest").click()
        await why.get_by_text("You switched it on in the dashboard on ").wait_for()
        assert await why.locator("summary").inner_text() == "Why is this on?"
        # and their changes are listed, newest first, a page at a time.
        for _ in range(2):
            await opened.switch("weekly_usage_digest").click()
            await opened.settled()
        await opened.page.locator(".history > summary").click()
        entries = opened.page.locator(".changes > li")
        await entries.nth(2).wait_for()
        words = [await entry.inner_text() for entry in await entries.all()]
        assert ["switched it on" in text for text in words] == [True, False, True]
        assert await opened.page.get_by_role("button", name="Show earlier changes").count() == 0


async def test_all_that_is_open_is_told_of_a_change(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given two choices, with the reason of each and the list of changes open
        chosen = {"Product updates": "product_updates", "Delivery alerts": "delivery_alerts"}
        await opened.api("PATCH", body={"email": dict.fromkeys(chosen.values(), False)})
        await opened.page.reload()
        reasons = [opened.page.locator("[part=toggle]", has_text=title).locator(".why") for title in chosen]
        for reason in reasons:
            await reason.locator("summary").click()
            await reason.get_by_text("You switched it off in the dashboard").wait_for()
        await opened.page.locator(".history > summary").click()
        await opened.page.locator(".changes > li").nth(1).wait_for()
        # when the person changes something else, then the list has that, too, and no reason is forgotten.
        await opened.switch("weekly_usage_digest").click()
        await opened.page.locator(".changes > li").nth(2).wait_for()
        for reason in reasons:
            assert "You switched it off in the dashboard" in await reason.inner_text()


async def test_earlier_changes_are_shown_a_page_at_a_time(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given twelve changes
        for state in (True, False, True):
            toggles = ("product_updates", "delivery_alerts", "billing_receipts", "weekly_usage_digest")
            await opened.api("PATCH", body={"email": dict.fromkeys(toggles, state)})
        await opened.page.locator(".history > summary").click()
        entries = opened.page.locator(".changes > li")
        await entries.nth(9).wait_for()
        assert await entries.count() == 10
        # when the person asks for more by keyboard, then the rest is there, and the focus goes on with the list.
        more = opened.page.get_by_role("button", name="Show earlier changes")
        await more.press("Enter")
        await entries.nth(11).wait_for()
        await more.wait_for(state="hidden")
        assert await entries.nth(10).evaluate("e => e.getRootNode().activeElement === e")


async def test_what_the_bearer_of_a_link_did_is_not_said_to_be_the_persons_own_doing(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a link in an e-mail to this person, and somebody who followed it
        tokens = SealedTokens([of_data_dir(Path(development.environment["DATA_DIR"]))])
        [token] = tokens.make(ORGANIZATION, "email.product_updates", [opened.user])
        async with httpx.AsyncClient(base_url=development.url) as http:
            clicked = await http.post(f"/unsubscribe/{token}", data=ONE_CLICK)
        assert clicked.status_code == 200
        # when the person looks at the page again, then it says what was done, and not that they did it.
        await opened.page.evaluate("window.dispatchEvent(new Event('focus'))")
        await opened.becomes("product_updates", False)
        why = opened.page.locator("[part=toggle]", has_text="Product updates").locator(".why")
        await why.locator("summary").click()
        await why.get_by_text("It was switched off with one click in an e-mail on ").wait_for()
        assert "You" not in await why.inner_text()
