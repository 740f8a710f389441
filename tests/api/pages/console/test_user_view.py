"""The view of one user in a real browser."""

import pytest
from playwright.async_api import Browser, expect

from domain.catalogue import CATALOGUE
from tests.support.console_page import ADA, Console, officer, query_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_one_user_is_seen_at_any_instant_of_their_own_changes(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, ADA[1:]) as (page, watched):

        async def row(toggle: str) -> str:
            return " ".join((await page.locator(".states tr", has_text=toggle).inner_text()).split())

        # Given what Ada gets now, with what decided it,
        assert "off A choice by user_ada 2026-04-05 08:03:00 UTC, dashboard" in await row("weekly_usage_digest")
        assert "on A choice by support 2026-02-15 08:02:00 UTC, admin" in await row("product_updates")
        assert f"on The default of catalogue {CATALOGUE.version}: on" in await row("billing_receipts")
        assert (
            f"“Weekly usage digest” A summary of your usage, once a week. catalogue {CATALOGUE.version}, default off"
            in await row("weekly_usage_digest")
        )
        # when the slider goes back with the keyboard, step by step,
        slider = page.get_by_role("slider", name="Instant")
        await slider.focus()
        for said, digest, updates in (
            ("after the change of 2026-04-05 08:03:00 UTC", "off", "on"),
            ("after the change of 2026-02-15 08:02:00 UTC", "on", "on"),
            ("after the change of 2026-02-14 08:01:00 UTC", "on", "off"),
        ):
            await page.keyboard.press("ArrowLeft")
            await expect(slider).to_have_attribute("aria-valuetext", said)
            await expect(page.locator(".states p")).to_contain_text(said.split("change of ")[1])
            assert f" {digest} A choice" in await row("weekly_usage_digest")
            assert f" {updates} A choice" in await row("product_updates")
        await page.keyboard.press("Home")
        await expect(page.locator(".states p")).to_contain_text("0 events")
        assert "off The default" in await row("weekly_usage_digest")
        # then each instant is in the address, the focus stays on the slider, and the back button goes back.
        assert query_of(page)["as_of"] == "2026-01-05T08:00:00.123455Z"
        assert await slider.evaluate("slider => slider === document.activeElement")
        await page.go_back()
        await expect(page.locator(".states p")).to_contain_text(
            f"At 2026-02-14 08:01:00 UTC: catalogue {CATALOGUE.version}, 3 events"
        )
        assert watched.complaints == []


async def test_two_instants_are_compared(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, f"{ADA[1:]}&as_of=2026-02-14T08:01:00.123456Z&compare=now") as (
        page,
        watched,
    ):
        await expect(page.locator(".states [role=status]")).to_contain_text("2 differences between 2026-02-14 08:01:00")
        changed = await page.locator(".states tr", has=page.locator(".changed")).all_inner_texts()
        assert ["product_updates" in changed[0], "weekly_usage_digest" in changed[1]] == [True, True]
        await page.get_by_role("slider", name="Second instant").focus()
        await page.keyboard.press("Home")
        await expect(page.locator(".states [role=status]")).to_contain_text(
            f" and 2026-01-05 08:00:00 UTC, catalogue {CATALOGUE.version}, 0 events"
        )
        await page.get_by_role("link", name="Show one instant").click()
        await expect(page.get_by_role("slider")).to_have_count(1)
        # The event that decided leads to its entry.
        await page.get_by_role("link", name="in the log").first.click()
        await expect(page.locator(".chip")).to_have_count(4)
        assert watched.complaints == []


async def test_the_instant_on_the_slider_is_the_one_that_is_compared(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, ADA[1:]) as (page, watched):
        await page.get_by_role("slider", name="Instant").focus()
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator(".states p")).to_contain_text("At 2026-02-15 08:02:00")
        instant = query_of(page)["as_of"]
        await page.get_by_role("link", name="Compare two instants").click()
        await expect(page.get_by_role("slider")).to_have_count(2)
        assert query_of(page) == {"view": "user", "user": "user_ada", "as_of": instant, "compare": "now"}
        assert watched.complaints == []
