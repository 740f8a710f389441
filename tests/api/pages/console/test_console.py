"""The console in a real browser, as a compliance officer uses it."""

import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.async_api import Browser, Page, Route, expect

from api.pages.assets import published as published_assets
from domain.catalogue import CATALOGUE
from tests.support.browser import Watched, findings
from tests.support.command import Command
from tests.support.console_log import MARKED_ORGANIZATION, MARKUP, ORGANIZATION, fill_console
from tests.support.held_request import DRAWN, held
from tests.support.server import Server

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
ADA = "?view=user&user=user_ada"
MOST_JAVASCRIPT = 40_000


class Console(NamedTuple):
    server: Server
    public_key: str


@pytest.fixture(scope="module")
def console(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A service in development mode whose log is signed."""
    url, data_dir = new_database(), tmp_path_factory.mktemp("data")
    fill_console(url)
    command = Command(data_dir, url)
    assert command("audit", "checkpoint").returncode == 0
    key = command("audit", "public-key").stdout.strip()
    with Server(url, clerk_issuer=None, clerk_jwt_key=None, data_dir=data_dir) as server:
        yield Console(server, key)


def token(console: Console, organization: str = ORGANIZATION, role: str = "admin") -> dict[str, Any]:
    """What the sign-in form of development mode gets and keeps."""
    asked = {"user": "user_grace", "organization": organization, "role": role}
    answer = httpx.post(f"{console.server.url}/development/session", json=asked, headers={"Origin": console.server.url})
    return {**answer.json()["data"], "user": "user_grace", "organization": organization}


@asynccontextmanager
async def officer(
    chromium: Browser,
    console: Console,
    query: str = "view=log",
    organization: str = ORGANIZATION,
    role: str = "admin",
    **how: Any,
) -> AsyncIterator[tuple[Page, Watched]]:
    """A page on which an officer has signed in. At its end it has asked nobody else, and nothing was wrong in the browser."""
    context = await chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    made = json.dumps(json.dumps(token(console, organization, role)))
    await context.add_init_script(f"sessionStorage.setItem('preferences.development-session', {made})")
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    await page.goto(f"{console.server.url}/console?{query}")
    await shown(page)
    yield page, watched
    assert watched.origins() <= {console.server.url, "blob:http:"}, watched.origins()
    await context.close()


async def shown(page: Page) -> None:
    """The view that the address names is there."""
    await page.wait_for_selector("main:not([aria-busy]) .view h2")


def query_of(page: Page) -> dict[str, str]:
    return dict(httpx.URL(page.url).params)


async def cells(page: Page, column: str) -> list[str]:
    return await page.locator(f'.view table.dense td[data-column="{column}"]').all_inner_texts()


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


async def test_a_bundle_is_downloaded_and_verified_in_the_page(
    chromium: Browser, console: Console, tmp_path: Path
) -> None:
    async with officer(chromium, console, "view=evidence") as (page, watched):
        # Given a bundle and a public key as files,
        await page.locator("#bundle-user").fill("user_ada")
        async with page.expect_download() as download:
            await page.keyboard.press("Enter")
        assert (await download.value).suggested_filename == "evidence-user_ada.json"
        file = tmp_path / "ada.json"
        await (await download.value).save_as(file)
        data = file.read_bytes()
        await expect(page.get_by_text("The bundle of user_ada is saved. The download is recorded.")).to_be_visible()
        before = len(watched.requests)

        # when both are dropped on the page,
        await drop(page, {"ada.json": data, "key.pub": f"{console.public_key}\n".encode()})
        # then the page says what the command says, and asks nobody for it.
        verdict = page.locator(".verdict")
        await expect(verdict).to_contain_text(
            "Verified. user_ada of org_math: 5 events, all in the log of notification-preferences"
        )
        assert await verdict.locator('td[data-column="who"]').all_inner_texts() == [
            "user_ada",
            "unsubscribe link of user_ada",
            "user_staff for user_ada",
            "user_ada",
        ]
        # Of a damaged one, it says why it is refused.
        await drop(page, {"ada.json": data.replace(b'\\"enabled\\":true', b'\\"enabled\\":null', 1)})
        await expect(verdict).to_contain_text(
            re.compile(r"Refused. ada.json: the event at position \d+ is not in the log that was signed")
        )
        await page.locator("#bundle-file").set_input_files(
            files=[{"name": "x.json", "mimeType": "application/json", "buffer": b"{}"}]
        )
        await expect(verdict).to_contain_text("Refused. x.json: this is not an evidence bundle")
        # Of two files, of which the first takes long to read, the one that was chosen last counts.
        await page.evaluate(
            """async () => {
                const input = document.querySelector("#bundle-file");
                const large = " ".repeat(30_000_000);
                for (const [name, text] of [["first.json", large], ["second.json", "{}"]]) {
                    const transfer = new DataTransfer();
                    transfer.items.add(new File([text], name));
                    input.files = transfer.files;
                    input.dispatchEvent(new Event("change"));
                }
                for (let again = 0; again < 3; again++) await new File([large], "third.json").arrayBuffer();
            }"""
        )
        await expect(verdict).to_contain_text("Refused. second.json")
        assert len(watched.requests) == before
        # Of a user who chose nothing there is none. An answer that comes late says so of that user, and not of the one who is named since.
        late = await held(page, "GET", "/v1/users/user_nobody/evidence")
        await page.locator("#bundle-user").fill("user_nobody")
        await page.get_by_role("button", name="Download").click()
        await late.asked.wait()
        await page.locator("#bundle-user").fill("user_ada")
        await late.arrive()
        await expect(
            page.get_by_text("No event of user_nobody is signed yet: there is nothing to prove.")
        ).to_be_visible()
        assert [complaint for complaint in watched.complaints if "404" not in complaint] == []


async def drop(page: Page, files: dict[str, bytes]) -> None:
    transfer = await page.evaluate_handle(
        "files => { const transfer = new DataTransfer();"
        "for (const [name, bytes] of files) transfer.items.add(new File([Uint8Array.from(bytes)], name)); return transfer; }",
        [[name, [*data]] for name, data in files.items()],
    )
    await page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})


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
    await page.get_by_label("User", exact=True).fill(user)
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
        await page.get_by_label("User", exact=True).wait_for()
        # when the second refusal arrives while the page waits for the officer to sign in,
        await second.let_go()
        await page.evaluate("fetch('/healthz')")
        await page.evaluate(DRAWN)
        # then there is one form, in a page that isn't busy.
        assert await page.get_by_label("User", exact=True).count() == 1
        assert await page.locator("main").get_attribute("aria-busy") is None
        await sign_in(page, "user_grace")
        assert await page.locator("table.dense tbody tr").count() > 0


async def test_of_two_files_with_a_key_the_one_that_was_chosen_last_counts(chromium: Browser, console: Console) -> None:
    async with officer(chromium, console, "view=evidence") as (page, _):
        # Given a first file that takes long to read
        await page.evaluate(
            """async () => {
                const input = document.querySelector("#key-file");
                const large = " ".repeat(30_000_000);
                for (const [name, text] of [["large.txt", `${large}first`], ["key.pub", "second"]]) {
                    const transfer = new DataTransfer();
                    transfer.items.add(new File([text], name));
                    input.files = transfer.files;
                    input.dispatchEvent(new Event("change"));
                }
                for (let again = 0; again < 3; again++) await new File([large], "third.txt").text();
            }"""
        )
        await expect(page.locator("#public-key")).to_have_value("second")


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
