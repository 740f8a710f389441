"""How the element saves a choice: at once, on the state that the person saw, and what it says when it can't."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route

from tests.support.preferences_page import CHANGES_A_MINUTE, preferences_page
from tests.support.server import PATH, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HISTORY = f"{PATH}/history"


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
