"""How the element saves a choice: at once, on the state that the person saw, and what it says when it can't."""

import asyncio
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Route

from infrastructure.unsubscribe.link_key import of_data_dir
from infrastructure.unsubscribe.sealed_tokens import SealedTokens
from tests.support.held_request import DRAWN, held
from tests.support.links import ONE_CLICK
from tests.support.preferences_page import CHANGES_A_MINUTE, ORGANIZATION, preferences_page
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


async def test_a_choice_is_saved_at_once_on_the_state_that_was_seen(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.switch("product_updates").click()
        await opened.becomes("product_updates", False)
        await opened.says("Product updates is off. Saved.")
        [sent] = opened.sent("PATCH")
        assert sent.headers["if-match"].startswith('"')
        assert sent.post_data_json == {"email": {"product_updates": False}}
        assert "cookie" not in sent.headers
        assert (await opened.recorded())["product_updates"] is False
        # A label is for its switch.
        await opened.page.locator("label", has_text="Delivery alerts").click()
        await opened.becomes("delivery_alerts", False)
        # The page is what it was when it is loaded again.
        await opened.settled()
        await opened.page.reload()
        await opened.becomes("product_updates", False)
        await opened.becomes("delivery_alerts", False)


async def test_choices_in_quick_succession_are_all_saved_and_the_last_one_counts(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a line on which each answer takes its time
        async def slowly(route: Route) -> None:
            await asyncio.sleep(0.15)
            await route.continue_()

        await opened.page.route(f"**{PATH}", slowly)
        # when the person presses faster than that, and changes their mind,
        for toggle in ("product_updates", "delivery_alerts", "billing_receipts", "product_updates", "billing_receipts"):
            await opened.switch(toggle).click()
        # then they see at once what they want,
        assert not await opened.is_on("delivery_alerts")
        assert await opened.is_on("product_updates")
        # and the service has it in the end.
        await opened.settled()
        shown = {
            toggle: await opened.is_on(toggle) for toggle in ("product_updates", "delivery_alerts", "billing_receipts")
        }
        assert shown == {"product_updates": True, "delivery_alerts": False, "billing_receipts": True}
        assert {**await opened.recorded(), **shown} == await opened.recorded()
        # "Saved" is said for a moment at each of them. Then the words beside the switches are those of their state again.
        for _ in range(3):
            await opened.page.locator("[data-saved]").first.wait_for(state="detached")
        assert await opened.page.locator(".state").all_inner_texts() == ["On", "Off", "On", "Off", "Always on"]
        assert opened.watched.complaints == []


async def test_a_change_made_elsewhere_is_merged_and_not_overwritten(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a change in another place that this page hasn't seen
        await opened.api("PATCH", body={"email": {"weekly_usage_digest": True}})
        assert not await opened.is_on("weekly_usage_digest")
        # when the person changes something else here,
        await opened.switch("product_updates").click()
        await opened.says("Product updates is off. Saved.")
        # then both changes are made, both are shown, and the person hears of the one that they didn't make here.
        assert await opened.is_on("weekly_usage_digest")
        recorded = await opened.recorded()
        assert (recorded["weekly_usage_digest"], recorded["product_updates"]) == (True, False)
        statuses = [(await one.response()).status for one in opened.sent("PATCH")]
        assert statuses == [412, 200]


async def test_what_was_done_elsewhere_already_is_not_done_twice(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.api("PATCH", body={"email": {"product_updates": False}})
        await opened.switch("product_updates").click()
        await opened.says("Product updates is off. Saved.")
        assert [(await one.response()).status for one in opened.sent("PATCH")] == [412]
        assert len(await opened.api("GET", HISTORY)) == 1


async def test_another_tab_shows_a_change_at_once_and_keeps_its_focus(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given the same person in two tabs
        first = opened.page
        opened.page = await opened.context.new_page()
        await opened.page.goto(f"{development.url}/preferences")
        await opened.sign_in()
        await opened.switch("billing_receipts").focus()
        # when they change something in the first one,
        await first.locator('[id="email.product_updates"]').click()
        # then the second one shows it, says it, and leaves the focus where it was.
        await opened.becomes("product_updates", False)
        await opened.says("Product updates was switched off somewhere else.")
        assert await opened.focused() == "email.billing_receipts"
        # A change in this tab overwrites nothing.
        await opened.switch("delivery_alerts").click()
        await opened.says("Delivery alerts is off. Saved.")
        await first.locator('[id="email.delivery_alerts"][aria-checked="false"]').wait_for()
        recorded = await opened.recorded()
        assert (recorded["product_updates"], recorded["delivery_alerts"]) == (False, False)


async def test_a_page_that_is_looked_at_again_asks_whether_anything_has_changed(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.api("PATCH", body={"email": {"product_updates": False}})
        assert await opened.is_on("product_updates")
        await opened.page.evaluate("window.dispatchEvent(new Event('focus'))")
        await opened.becomes("product_updates", False)
        # Nothing has changed since: the service says so, without the state.
        async with opened.page.expect_response(f"**{PATH}") as asked:
            await opened.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert (await asked.value).status == 304


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


async def test_without_a_connection_a_choice_is_taken_back_and_the_truth_comes_with_it(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.context.set_offline(True)
        await opened.switch("product_updates").click()
        # The person hears it, sees it beside the switch, and the switch is where it was; so is the focus.
        await opened.says("There is no connection", "alert")
        await opened.page.locator(".fault:visible", has_text="There is no connection").wait_for()
        assert await opened.is_on("product_updates")
        assert await opened.focused() == "email.product_updates"
        # Meanwhile something is changed in another place. When the connection is back, so is the truth.
        await opened.api("PATCH", body={"email": {"weekly_usage_digest": True}})
        await opened.context.set_offline(False)
        await opened.becomes("weekly_usage_digest", True)
        await opened.says("The connection is back.")
        assert await opened.page.locator(".fault:visible").count() == 0


async def test_a_choice_that_was_recorded_although_the_service_could_not_say_so_is_shown(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a service that records a change, and can't tell in time that it has
        async def unknown(route: Route) -> None:
            if route.request.method == "PATCH":
                await route.fetch()
                await route.fulfill(status=503, headers={"Retry-After": "1"}, json={"success": False, "error": {}})
            else:
                await route.continue_()

        await opened.page.route(f"**{PATH}", unknown)
        await opened.switch("product_updates").click()
        # then the person isn't told that it was not saved, and soon sees what was recorded.
        await opened.says("The service is busy, so this may not be saved.", "alert")
        await opened.becomes("product_updates", False)
        await opened.says("These are your preferences now.")
        assert await opened.page.locator(".fault:visible").count() == 0


async def test_a_page_that_was_never_connected_says_so_and_tries_again_when_asked(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.page.route("**/v1/**", lambda route: route.abort())
        await opened.page.reload()
        await opened.page.get_by_text("Your preferences could not be loaded.").first.wait_for()
        await opened.page.unroute("**/v1/**")
        await opened.page.get_by_role("button", name="Try again").click()
        await opened.page.get_by_role("switch").first.wait_for()
        assert await opened.page.get_by_role("button", name="Try again").count() == 0


async def test_too_many_changes_are_taken_back_with_the_time_to_wait(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        for _ in range(CHANGES_A_MINUTE):
            await opened.switch("product_updates").click()
            await opened.settled()
        before = await opened.recorded()
        await opened.switch("product_updates").click()
        await opened.page.locator(".fault:visible", has_text="Too many changes at once. Try again in ").wait_for()
        assert await opened.is_on("product_updates") is before["product_updates"]
        assert await opened.recorded() == before
        assert (await opened.sent("PATCH")[-1].response()).status == 429


async def with_a_stale_condition(route: Route) -> None:
    """The request as if its page had an older state than the service: the service refuses it with 412."""
    await route.continue_(headers={**route.request.headers, "if-match": '"stale"'})


async def test_a_choice_that_comes_too_late_each_time_is_taken_back(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.page.route(f"**{PATH}", with_a_stale_condition)
        await opened.switch("product_updates").click()
        await opened.page.locator(".fault:visible", has_text="This was changed in several places at once.").wait_for()
        assert await opened.is_on("product_updates")
        assert (await opened.recorded())["product_updates"] is True
        assert {(await one.response()).status for one in opened.sent("PATCH")} == {412}


async def test_a_toggle_that_has_left_the_catalogue_meanwhile_says_so(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a service whose new release has this toggle no more
        async def without_the_toggle(route: Route) -> None:
            if route.request.method != "GET":
                await with_a_stale_condition(route)
                return
            answer = await route.fetch(headers={**route.request.headers, "if-none-match": ""})
            body = await answer.json()
            del body["data"]["email"]["product_updates"]
            await route.fulfill(response=answer, json=body)

        await opened.page.route(f"**{PATH}", without_the_toggle)
        # when the person presses its switch, then they are told why it doesn't move.
        await opened.switch("product_updates").click()
        await opened.page.locator(".fault:visible", has_text="This setting can't be changed any more.").wait_for()
        assert (await opened.recorded())["product_updates"] is True


async def test_when_the_session_is_over_a_choice_is_taken_back_and_the_person_signs_in_again(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given a service whose key has changed, so that it refuses the token of this page
        development.stop()
        (Path(development.environment["DATA_DIR"]) / "development" / "signing-key.pem").unlink()
        development.start()
        # when the person presses a switch, then it goes back, and they are told why.
        await opened.switch("product_updates").click()
        await opened.page.locator(".fault:visible", has_text="You are no longer signed in").wait_for()
        assert await opened.is_on("product_updates")
        assert (await opened.sent("PATCH")[-1].response()).status == 401
        # They sign in again where they are, and go on.
        await opened.page.get_by_role("button", name="Sign in again").click()
        await opened.sign_in()
        await opened.switch("product_updates").click()
        await opened.says("Product updates is off. Saved.")
        # A service that was killed is no different from a line that is cut.
        development.kill()
        await opened.switch("product_updates").click()
        await opened.says("There is no connection", "alert")
        assert not await opened.is_on("product_updates")
        development.start()
        await opened.says("The connection is back.")


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
