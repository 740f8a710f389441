"""Answers that come late: behind a choice, a reload, or another person's sign-in."""

import asyncio

import pytest
from playwright.async_api import Browser, Route

from tests.support.held_request import DRAWN, held
from tests.support.preferences_page import preferences_page
from tests.support.server import PATH, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HISTORY = f"{PATH}/history"
LOOKED_AT_AGAIN = "window.dispatchEvent(new Event('focus'))"
NOTE_WHAT_IS_SAID = """() => {
    window.noted = [];
    const root = document.querySelector("notification-preferences").shadowRoot;
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            if (target.matches?.("[data-saved]")) noted.push("Saved");
            else if (target.matches?.("[role=status]") && target.textContent) noted.push(target.textContent);
        }
    }).observe(root, { subtree: true, childList: true, attributeFilter: ["data-saved"] });
}"""


async def test_an_answer_that_is_overtaken_by_a_choice_takes_nothing_back(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a change in another place, and an answer with it that is slow to arrive
        await opened.api("PATCH", body={"email": {"weekly_usage_digest": True}})
        made, arrives = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            if route.request.method != "GET" or made.is_set():
                await route.continue_()
                return
            answer = await route.fetch()
            made.set()
            await arrives.wait()
            await route.fulfill(response=answer)

        await opened.page.route(f"**{PATH}", late)
        await opened.page.evaluate("window.dispatchEvent(new Event('focus'))")
        await made.wait()
        # when the person makes a choice meanwhile,
        await opened.switch("product_updates").click()
        await opened.says("Product updates is off. Saved.")
        async with opened.page.expect_event("requestfinished", lambda request: request.method == "GET"):
            arrives.set()
        await opened.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
        # then the answer from before it doesn't take it back, and it isn't said to have been made elsewhere.
        assert not await opened.is_on("product_updates")
        assert "somewhere else" not in await opened.page.locator("notification-preferences [role=status]").inner_text()


async def test_what_a_person_chose_is_never_saved_for_the_next_one(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a person who presses two switches, and signs out before the first is saved
        asked, arrives = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            if route.request.method == "PATCH" and not asked.is_set():
                asked.set()
                await arrives.wait()
            await route.continue_()

        await opened.page.route(f"**{PATH}", late)
        await opened.switch("product_updates").click()
        await opened.switch("delivery_alerts").click()
        await asked.wait()
        await opened.page.get_by_role("button", name="Sign out").click()
        await opened.page.get_by_label("User").wait_for()
        async with opened.page.expect_response(lambda answer: answer.request.method == "PATCH"):
            arrives.set()
        first, opened.user = opened.user, f"{opened.user}_next"
        # when another person signs in on this page and makes a choice,
        await opened.sign_in()
        await opened.switch("weekly_usage_digest").click()
        await opened.says("Weekly usage digest is on. Saved.")
        await opened.settled()
        # then that is the only change of theirs, and they see their own preferences.
        assert [one["toggle"] for one in await opened.api("GET", HISTORY)] == ["weekly_usage_digest"]
        assert await opened.is_on("delivery_alerts")
        opened.user = first
        assert [one["toggle"] for one in await opened.api("GET", HISTORY)] == ["product_updates"]


async def test_a_choice_that_is_saved_late_is_not_told_to_the_next_person(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a person who presses a switch, and signs out before it is saved
        saved = await held(opened.page, "PATCH", PATH)
        await opened.switch("product_updates").click()
        await saved.asked.wait()
        await opened.page.get_by_role("button", name="Sign out").click()
        # when it is saved while another person looks at their own preferences,
        opened.user = f"{opened.user}_next"
        await opened.sign_in()
        await opened.page.evaluate(NOTE_WHAT_IS_SAID)
        read = len(opened.watched.requests)
        await saved.arrive()
        # then that person sees and hears nothing of it, and the page reads nothing again.
        assert await opened.page.evaluate("noted") == []
        assert await opened.is_on("product_updates")
        assert [one.url for one in opened.watched.requests[read:] if one.method == "GET"] == []
        # The negative control: what they choose themselves is told.
        await opened.switch("delivery_alerts").click()
        await opened.says("Delivery alerts is off. Saved.")
        assert await opened.page.evaluate("noted") == ["Saved", "Delivery alerts is off. Saved."]


async def test_a_choice_that_is_saved_after_a_reload_is_shown_once_it_is_read(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a choice that is being saved while the element is loaded anew
        saved = await held(opened.page, "PATCH", PATH)
        await opened.switch("product_updates").click()
        await saved.asked.wait()
        async with opened.page.expect_response(f"**{PATH}"):
            await opened.page.evaluate("document.querySelector('notification-preferences').reload()")
        await opened.becomes("product_updates", True)
        await opened.page.evaluate("addEventListener('preferences-changed', ({ detail }) => (window.told = detail))")
        await opened.page.evaluate(NOTE_WHAT_IS_SAID)
        # when it is saved, then the switch gets what was recorded, and the page is told.
        await saved.arrive()
        await opened.becomes("product_updates", False)
        assert (await opened.recorded())["product_updates"] is False
        assert await opened.page.evaluate("told") == {"channel": "email", "toggle": "product_updates", "enabled": False}
        # It is not said to be saved before the switch shows it, nor to have been made elsewhere.
        assert await opened.page.evaluate("noted") == ["Product updates is off. Saved."]


async def test_a_question_about_ones_changes_that_fails_late_is_not_told_to_the_next_person(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a person who has made a choice, asks for their changes, and signs out before these are there
        await opened.switch("product_updates").click()
        await opened.says("Product updates is off. Saved.")
        failed = await held(opened.page, "GET", HISTORY, status=503)
        await opened.page.locator(".history > summary").click()
        await failed.asked.wait()
        await opened.page.get_by_role("button", name="Sign out").click()
        # then nothing says any more what they chose,
        assert await opened.page.locator("notification-preferences [role=status]").inner_text() == ""
        # and when the question fails, the next person doesn't hear of it.
        opened.user = f"{opened.user}_next"
        await opened.sign_in()
        await failed.arrive()
        assert await opened.page.locator("notification-preferences [role=alert]").inner_text() == ""
        # The negative control: they hear when their own question fails.
        await opened.page.route(f"**{HISTORY}*", lambda route: route.fulfill(status=503, json={}))
        await opened.page.locator(".history > summary").click()
        await opened.says("The service is busy", "alert")


async def test_an_answer_to_the_person_before_does_not_say_that_the_connection_is_back(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a reading for one person that takes long, and the next person, whose connection is cut
        late = await held(opened.page, "GET", PATH)
        await opened.page.evaluate(LOOKED_AT_AGAIN)
        await late.asked.wait()
        await opened.page.get_by_role("button", name="Sign out").click()
        opened.user = f"{opened.user}_next"
        await opened.sign_in()
        await opened.page.route(f"**{PATH}", lambda route: route.abort())
        await opened.switch("product_updates").click()
        await opened.says("There is no connection", "alert")
        # when the answer to the first one arrives, then the next one still reads why their choice was not saved.
        await late.arrive()
        await opened.page.locator(".fault:visible", has_text="There is no connection").wait_for(timeout=1000)
        assert (
            "The connection is back"
            not in await opened.page.locator("notification-preferences [role=status]").inner_text()
        )


async def test_a_state_that_came_without_its_catalogue_is_not_lost(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a change in another place, and a catalogue that can't be read for a moment
        await opened.api("PATCH", body={"email": {"product_updates": False}})
        failed = await held(opened.page, "GET", "/v1/notifications/catalogue", status=503)
        async with opened.page.expect_response(f"**{PATH}") as answered:
            await opened.page.evaluate(LOOKED_AT_AGAIN)
        assert (await answered.value).status == 200
        await opened.page.evaluate(DRAWN)
        await failed.arrive()
        # then the change is shown once both can be read.
        await opened.page.evaluate(LOOKED_AT_AGAIN)
        await opened.becomes("product_updates", False)


async def test_an_older_catalogue_that_comes_late_does_not_replace_a_newer_one(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given an answer with the catalogue of the release before, which is slow to arrive,
        arrives = asyncio.Event()
        titles = iter(["Older title", "Newer title"])

        async def published(route: Route) -> None:
            title = next(titles, None)
            if title is None:
                await route.fulfill(status=304)
                return
            answer = await route.fetch(headers={**route.request.headers, "if-none-match": ""})
            body = await answer.json()
            body["data"]["channels"][0]["title"] = title
            if title == "Older title":
                await arrives.wait()
            await route.fulfill(response=answer, json=body)

        await opened.page.route("**/v1/notifications/catalogue", published)
        async with opened.page.expect_request("**/v1/notifications/catalogue"):
            await opened.page.evaluate(LOOKED_AT_AGAIN)
        # and the newer one, which is there before it,
        await opened.page.evaluate(LOOKED_AT_AGAIN)
        await opened.page.get_by_role("heading", name="Newer title").wait_for()
        # when the older one arrives, then the newer one stays.
        async with opened.page.expect_response("**/v1/notifications/catalogue"):
            arrives.set()
        await opened.page.evaluate(DRAWN)
        assert await opened.page.get_by_role("heading", name="Newer title").count() == 1


async def test_a_refusal_that_comes_while_the_person_signs_in_again_asks_them_no_second_time(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given two requests that the service refuses, one of them late, and a form that asks the person to sign in meanwhile
        late = await held(opened.page, "GET", PATH, status=401)
        early = await held(opened.page, "PATCH", PATH, status=401)
        await opened.page.evaluate(LOOKED_AT_AGAIN)
        await late.asked.wait()
        await opened.switch("product_updates").click()
        await opened.switch("delivery_alerts").click()
        await early.arrive()
        await opened.page.get_by_label("User").wait_for()
        # when the late one arrives, and the page asks for a token again,
        await late.arrive()
        await opened.page.evaluate(LOOKED_AT_AGAIN)
        await opened.page.evaluate(DRAWN)
        # then there is one form, and the person goes on with it.
        assert await opened.page.get_by_label("User").count() == 1
        await opened.sign_in()
        await opened.becomes("delivery_alerts", False)
