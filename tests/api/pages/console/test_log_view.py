"""The views of the organization's log in a real browser: its entries, opt-ins and opt-outs over time, and who has read."""

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, expect

from tests.support.console_log import MARKED_ORGANIZATION, MARKUP
from tests.support.console_page import Console, cells, officer, query_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_filter_stands_in_the_address_and_any_value_is_one(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, watched):
        # When values of an entry are clicked, one after the other,
        await page.locator('td[data-column="Source"] a', has_text="one_click").first.click()
        await expect(
            page.get_by_label("Remove Source one_click", exact=False).or_(page.get_by_label("Remove source one_click"))
        ).to_be_visible()
        await page.locator('td[data-column="Choice"] a', has_text="off").first.click()
        await expect(page.get_by_label("Remove choice off")).to_be_visible()
        # then the address has the filter, the page shows no other entries, and the form shows the filter, too.
        assert query_of(page) == {"view": "log", "source": "one_click", "enabled": "false"}
        assert set(await cells(page, "Source")) == {"one_click"}
        assert await page.locator("#filter-source").input_value() == "one_click"
        # The address shows the same in another window,
        entries = await cells(page, "When (UTC)")
        async with officer(chromium, console, page.url.partition("?")[2]) as (other, _):
            assert await cells(other, "When (UTC)") == entries
        # and the back button goes back, filter by filter.
        await page.go_back()
        await expect(page.get_by_label("Remove choice off")).to_have_count(0)
        assert query_of(page) == {"view": "log", "source": "one_click"}
        await page.go_back()
        await expect(page.locator(".chip")).to_have_count(0)
        # A filter that can't be met is a sentence.
        await page.goto(f"{console.server.url}/console?view=log&since=yesterday")
        await expect(page.get_by_role("alert")).to_contain_text("since must be a date and time with a zone")
        watched.complaints.clear()


async def test_a_filter_that_is_typed_filters(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, watched):
        await page.get_by_label("User", exact=True).fill("user_ada")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Remove user user_ada")).to_be_visible()
        assert len(await cells(page, "When (UTC)")) == 4
        await page.locator("#filter-since").fill("2026-02-15T00:00:00")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator(".chip")).to_have_count(2)
        assert query_of(page) == {"view": "log", "resource_id": "user_ada", "since": "2026-02-15T00:00:00Z"}
        assert len(await cells(page, "When (UTC)")) == 2
        assert "support" in await cells(page, "Who acted")
        assert watched.complaints == []


async def test_seconds_that_are_set_to_0_are_0(chromium: Browser, console: Console) -> None:
    async with officer(
        chromium, console, "view=log&since=2026-02-15T00:00:30.123Z&until=2026-04-01T02:00:00%2B02:00"
    ) as (
        page,
        watched,
    ):
        # Given a filter with an instant in another zone, which the fields show in UTC
        assert await page.locator("#filter-until").input_value() == "2026-04-01T00:00"
        await page.locator("#filter-since").fill("2026-02-15T00:00:00")
        await page.get_by_role("button", name="Filter").click()
        # then the one that was changed is as it was set, and the other one is the same.
        await expect(page.get_by_label("Remove since 2026-02-15T00:00:00Z")).to_be_visible()
        assert query_of(page) == {"view": "log", "since": "2026-02-15T00:00:00Z", "until": "2026-04-01T02:00:00+02:00"}
        assert watched.complaints == []


@pytest.mark.parametrize("query", ["view=constructor", "view=time&days=constructor", "view=time&until=tomorrow"])
async def test_an_address_with_words_that_mean_nothing_here_shows_what_it_can(
    query: str, chromium: Browser, console: Console
) -> None:
    async with officer(chromium, console, query) as (page, watched):
        await expect(page.locator(".view h2")).to_have_text(re.compile("Log|Over time"))
        assert await page.get_by_role("alert").count() == 0
        assert watched.complaints == []


async def test_older_entries_come_by_pages_and_none_is_lost(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, watched):
        first = await cells(page, "User")
        await page.get_by_role("link", name="Older").click()
        await page.get_by_role("link", name="Newest").wait_for()
        second = await cells(page, "User")
        assert len(first) == 50
        assert (len(second), "cursor" in query_of(page)) == (27, True)
        await page.go_back()
        await expect(page.get_by_role("link", name="Newest")).to_have_count(0)
        assert await cells(page, "User") == first
        await expect(page.locator(".head")).to_contain_text(
            re.compile(r"Complete up to \d{4}-.* UTC. Each look is recorded")
        )
        assert watched.complaints == []


async def test_an_export_is_what_the_filter_shows(chromium: Browser, console: Console, tmp_path: Path) -> None:
    async with officer(chromium, console, "view=log&toggle=product_updates&enabled=false") as (page, watched):
        requests = await page.locator('td[data-column="Request"] code').evaluate_all("all => all.map(one => one.title)")
        for form in ("CSV", "NDJSON"):
            async with page.expect_download() as download:
                await page.get_by_role("button", name=f"Export {form}").click()
            file = tmp_path / (await download.value).suggested_filename
            await (await download.value).save_as(file)
            lines = file.read_text().splitlines()
            exported = (
                [line.rsplit(",", 1)[1] for line in lines[1:]]
                if form == "CSV"
                else [json.loads(line)["request_id"] for line in lines[:-1]]
            )
            assert exported == requests
        assert len(requests) > 5
        await expect(page.locator(".exports [role=status]")).to_contain_text(
            re.compile(r"\d+ entries, complete up to .* Recorded")
        )
        assert watched.complaints == []


async def test_an_export_that_was_cut_off_is_not_kept(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console) as (page, _):
        # Given a proxy that ends the answer in the middle of a line
        async def cut(route: Route) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, body=(await answer.body())[:-9])

        await page.route(re.compile("trailer=true"), cut)
        await page.get_by_role("button", name="Export NDJSON").click()
        await expect(page.locator(".exports [role=status]")).to_have_text(
            "Its last line is missing. The export isn't whole."
        )


async def test_names_that_look_like_markup_stay_text(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, "view=log&source=api") as (page, watched):
        await expect(page.get_by_role("link", name=MARKUP, exact=True).first).to_be_visible()
        await page.get_by_label(f"What {MARKUP} gets").click()
        await expect(page.locator(".view h2")).to_have_text(MARKUP)
        await page.get_by_role("link", name="Evidence", exact=True).last.click()
        await expect(page.locator("#bundle-user")).to_have_value(MARKUP)
        assert await page.locator("main img").count() == 0
        assert watched.complaints == []
    async with officer(chromium, console, organization=MARKED_ORGANIZATION) as (page, watched):
        await expect(page.locator(".signed-in")).to_contain_text(MARKED_ORGANIZATION)
        assert await page.locator("main b").count() == 0
        assert await cells(page, "When (UTC)") == ["2026-01-18 08:00:00"]
        assert watched.complaints == []


async def test_opt_ins_and_opt_outs_over_time_are_drawn_and_told(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, "view=time&until=2026-06-01T00:00:00Z") as (page, watched):
        # Given the counts of a year, each toggle is drawn, and the table behind it has the numbers,
        said = await page.locator("svg[role=img]").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
        assert len(said) == 4
        await page.get_by_text("The table behind it").click()
        outs = [int(cell) for cell in await page.locator('details td[data-column="Opt-outs"]').all_inner_texts()]
        drawn = [int(re.sub(r".*, (\d+) opt-outs?$", r"\1", one)) for one in said]
        assert sum(drawn) == sum(outs) > 0
        # and what is chosen stands in the address.
        await page.get_by_role("link", name="one_click").click()
        await expect(page.locator("#source")).to_have_value("one_click")
        await page.locator("#days").select_option("90")
        await expect(
            page.get_by_text("one bar a day").or_(page.get_by_text("There is no change in this time"))
        ).to_be_visible()
        assert query_of(page) == {"view": "time", "until": "2026-06-01T00:00:00Z", "source": "one_click", "days": "90"}
        await page.go_back()
        await expect(page.get_by_text("one bar a week")).to_be_visible()
        assert watched.complaints == []


async def test_who_has_read_is_shown(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, "view=log&toggle=billing_receipts") as (page, watched):
        await page.get_by_role("link", name="Who has read").click()
        await shown(page)
        await expect(page.locator("tbody tr").first).to_contain_text("Log, a page")
        assert "toggle billing_receipts" in " ".join((await page.locator("tbody tr").first.inner_text()).split())
        assert (await cells(page, "Who"))[0] == "user_grace"
        assert watched.complaints == []
