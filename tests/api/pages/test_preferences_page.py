"""The page /preferences in a real browser: how it looks, how it is operated, and what it never does."""

import re
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from domain.catalogue import CATALOGUE
from tests.support.browser import application, findings
from tests.support.eventually import until
from tests.support.preferences_page import ORGANIZATION, preferences_page
from tests.support.server import PATH, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIDEWAYS = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
CUT_OFF = """
() => {
    const found = [];
    const walk = (root) => {
        for (const one of root.querySelectorAll("*")) {
            if (one.shadowRoot) walk(one.shadowRoot);
            const hides = getComputedStyle(one).overflowX === "hidden" && !one.classList.contains("unseen");
            if (hides && one.scrollWidth > one.clientWidth) found.push(one.outerHTML.slice(0, 120));
        }
    };
    walk(document);
    return found;
}
"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("light", 320), ("dark", 320)])
async def test_axe_finds_nothing(development: Server, chromium: Browser, scheme: Any, width: int) -> None:
    async with preferences_page(development, chromium, signed_in=False, color_scheme=scheme, width=width) as opened:
        # Given the form of development mode, and one that was refused,
        assert await findings(opened.page, scheme) == []
        await opened.page.get_by_label("Organization").fill("")
        await opened.page.get_by_label("User").fill("user_ ")
        await opened.page.get_by_role("button", name="Sign in").click()
        await opened.page.get_by_role("alert").filter(has_text="user_").wait_for()
        assert await findings(opened.page, scheme) == []
        # and a person's preferences, with everything open and a refused change,
        await opened.sign_in()
        await opened.switch("product_updates").click()
        await opened.settled()
        for summary in await opened.page.locator("summary").all():
            await summary.click()
        await opened.page.locator(".changes b").wait_for()
        await opened.context.set_offline(True)
        await opened.switch("delivery_alerts").click()
        await opened.page.locator(".fault:visible").wait_for()
        # then axe-core has nothing to say,
        assert await findings(opened.page, scheme) == []
        # though it would (the negative control).
        await opened.page.evaluate("document.querySelector('header .quiet').style.color = '#777'")
        assert len(await findings(opened.page, scheme)) == 1


async def test_everything_works_by_keyboard_and_the_focus_stays_where_it_was(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium, signed_in=False) as opened:
        keyboard = opened.page.keyboard
        # Given a person who has no mouse, and who signs in
        for name in ("sign-in-user", "sign-in-organization"):
            await keyboard.press("Tab")
            assert await opened.focused() == name
            await keyboard.type({"sign-in-user": opened.user, "sign-in-organization": ORGANIZATION}[name])
        await keyboard.press("Enter")
        await opened.page.get_by_role("switch").first.wait_for()
        # when they walk through the page, then each thing that can be operated has its turn,
        switches = [
            part
            for channel in CATALOGUE.channels
            for toggle in channel.toggles
            for part in (
                [f"{channel.name}.{toggle.name}"] if toggle.mandatory else [f"{channel.name}.{toggle.name}", "summary"]
            )
        ]
        expected_order = ["sign-out", *switches, "summary", "a"]
        order = []
        for _ in expected_order:
            await keyboard.press("Tab")
            order.append(
                await opened.page.evaluate(
                    "(e => e.id || e.localName)(document.activeElement.shadowRoot?.activeElement ?? document.activeElement)"
                )
            )
        assert order == expected_order
        # and is seen to have it.
        for _ in order[order.index("email.security_alerts") + 1 :]:
            await keyboard.press("Shift+Tab")
        outline = "getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineWidth"
        assert await opened.page.evaluate(outline) == "3px"
        # A locked switch says why, and stays.
        before = await opened.recorded()
        await keyboard.press("Space")
        await opened.says("Locked: it is always sent.")
        assert await opened.is_on("security_alerts")
        assert opened.sent("PATCH") == []
        # Space and Enter switch, and the focus stays, also when the answer has come.
        for key, expected in (("Space", not before["weekly_usage_digest"]), ("Enter", before["weekly_usage_digest"])):
            await opened.switch("weekly_usage_digest").focus()
            await keyboard.press(key)
            await opened.becomes("weekly_usage_digest", expected)
            await opened.says(f"Weekly usage digest is {'on' if expected else 'off'}. Saved.")
            assert await opened.focused() == "email.weekly_usage_digest"
            assert (await opened.recorded())["weekly_usage_digest"] is expected


async def test_a_screen_reader_hears_what_a_switch_is_and_why_one_is_locked(
    development: Server, chromium: Browser
) -> None:
    async with preferences_page(development, chromium) as opened:
        switches = opened.page.get_by_role("switch")
        titles = [toggle.title for channel in CATALOGUE.channels for toggle in channel.toggles]
        assert await switches.count() == len(titles)
        names = [
            await one.evaluate(
                "e => document.querySelector('notification-preferences').shadowRoot.getElementById(e.getAttribute('aria-labelledby')).textContent"
            )
            for one in await switches.all()
        ]
        assert names == titles
        session = await opened.context.new_cdp_session(opened.page)
        tree = (await session.send("Accessibility.getFullAXTree"))["nodes"]
        heard = {node["name"]["value"]: node for node in tree if node.get("role", {}).get("value") == "switch"}
        assert list(heard) == names
        locked = heard["Security alerts"]
        properties = {one["name"]: one["value"].get("value") for one in locked["properties"]}
        assert properties["checked"] == "true"
        assert properties["disabled"] is True
        assert locked["description"]["value"].endswith("Locked: it is always sent.")
        assert all(len(node["description"]["value"]) > 10 for node in heard.values())


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
async def test_nothing_scrolls_sideways_at_320_pixels_nor_with_text_twice_as_large(
    development: Server, chromium: Browser, direction: str
) -> None:
    async with preferences_page(development, chromium, width=320) as opened:
        await opened.page.evaluate("direction => document.documentElement.dir = direction", direction)
        await opened.page.locator("summary").first.click()
        for width, size in ((320, "100%"), (640, "200%"), (1280, "200%")):
            await opened.page.set_viewport_size({"width": width, "height": 800})
            await opened.page.evaluate("size => document.documentElement.style.fontSize = size", size)
            assert await opened.page.evaluate(SIDEWAYS) == 0
            assert await opened.page.evaluate(CUT_OFF) == []
            switch, title = (
                await opened.switch("billing_receipts").bounding_box(),
                await opened.page.locator("[id='email.billing_receipts-title']").bounding_box(),
            )
            assert switch is not None
            assert title is not None
            # The switch is on the far side of its words, whichever that is.
            assert (switch["x"] > title["x"]) is (direction == "ltr")
        # The negative control: a line that can't be broken.
        await opened.page.evaluate("document.querySelector('h1').style.width = '200vw'")
        assert await opened.page.evaluate(SIDEWAYS) > 0


async def test_the_page_asks_the_service_alone_and_keeps_no_cookie(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.switch("product_updates").click()
        await opened.settled()
        await opened.page.locator(".history > summary").click()
        await opened.page.locator(".changes b").wait_for()
        assert opened.watched.origins() == {development.url}
        assert opened.watched.complaints == []
        assert await opened.context.cookies() == []
        # All of the element's own JavaScript, as it comes over the line.
        scripts = [one for one in opened.watched.requests if "/elements/" in one.url]
        sizes = [(await one.sizes())["responseBodySize"] for one in scripts]
        assert len(sizes) >= 5
        assert 5_000 < sum(sizes) <= 15_000
        # Only the addresses that say their content were asked for: a new release is never mixed with an old one.
        assert all(len(one.url.rsplit(".", 2)[1]) == 16 for one in scripts)


async def test_the_policy_stops_what_does_not_belong_to_the_page(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        # Given scripts, styles and requests such as an attacker's markup would bring
        await opened.page.evaluate("""() => {
            const script = document.createElement("script");
            try { script.textContent = "window.attacked = true"; document.body.append(script); } catch {}
            try { document.body.innerHTML += "<p id=injected>"; } catch {}
            const style = document.createElement("style");
            style.textContent = "h1 { color: rgb(1, 2, 3) }";
            document.body.append(style);
        }""")
        fetched = await opened.page.evaluate("fetch('https://evil.example.com/').then(() => 'sent', () => 'stopped')")
        assert fetched == "stopped"
        assert await opened.page.evaluate("[window.attacked ?? null, document.getElementById('injected')]") == [
            None,
            None,
        ]
        assert await opened.page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(1, 2, 3)"
        assert len(opened.watched.complaints) >= 3


HOSTILE = "user_<img/src=x/onerror=document.title='attacked'>"


async def test_markup_in_ids_and_words_stays_text(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium, signed_in=False) as opened:
        await opened.sign_in(HOSTILE, "org_<b>bold</b>")
        assert await opened.page.locator("#who").inner_text() == f"{HOSTILE} in org_<b>bold</b>"
        words = {"email": {"title": HOSTILE}, "email.product_updates": {"title": HOSTILE, "description": HOSTILE}}
        await opened.page.evaluate(
            "words => document.querySelector('notification-preferences').texts = {words, locked: '<i>{title}</i>'}",
            words,
        )
        await opened.switch("product_updates").click()
        await opened.says(f"{HOSTILE} is off. Saved.")
        assert await opened.page.locator("[id='email.product_updates-title']").inner_text() == HOSTILE
        assert await opened.page.locator("img, #who b, notification-preferences i").count() == 0
        assert await opened.page.title() == "Notifications"
        assert opened.watched.complaints == []


async def test_another_sites_page_can_neither_change_nor_show_anything(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        before = await opened.recorded()
        with application() as port:
            # Given another page in the browser of a person who is signed in
            elsewhere = await opened.context.new_page()
            await elsewhere.goto(f"http://127.0.0.1:{port}")
            # when it sends what a browser lets any page send, then nothing is changed and no token is made,
            attempts = await elsewhere.evaluate(
                """async ([service, path]) => {
                    const tried = [];
                    for (const [url, options] of [
                        [service + path, {method: "PATCH", body: '{"email": {"product_updates": false}}', credentials: "include"}],
                        [service + path, {method: "POST", body: "{}", mode: "no-cors", credentials: "include"}],
                        [service + "/development/session", {method: "POST", body: '{"user": "user_demo"}'}],
                        [service + "/development/session", {method: "POST", body: '{"user": "user_demo"}', mode: "no-cors"}],
                    ]) tried.push(await fetch(url, options).then((answer) => answer.type, () => "stopped"));
                    return tried;
                }""",
                [development.url, PATH],
            )
            assert attempts == ["stopped", "opaque", "stopped", "opaque"]
            # and it can't put the page into a frame, to have it clicked unseen.
            await elsewhere.evaluate(
                """service => new Promise(done => {
                    const frame = Object.assign(document.createElement("iframe"), {src: service + "/preferences", onload: done});
                    document.body.append(frame);
                })""",
                development.url,
            )
            assert await elsewhere.frames[1].locator("main").count() == 0
        assert await opened.recorded() == before
        # A line may come after its answer.
        until(lambda: re.search(rb'"path":"/development/session","status":(?!200)', development.log()))


async def test_signing_out_leaves_nothing_of_the_person_behind(development: Server, chromium: Browser) -> None:
    async with preferences_page(development, chromium) as opened:
        await opened.switch("product_updates").click()
        await opened.settled()
        await opened.page.get_by_role("button", name="Sign out").click()
        await opened.page.get_by_label("User").wait_for()
        assert await opened.page.get_by_role("switch").count() == 0
        assert await opened.page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
        # The next person sees their own preferences.
        await opened.sign_in("user_somebody_else")
        assert await opened.is_on("product_updates")
        # A page that is loaded again is still theirs.
        await opened.page.reload()
        await opened.page.get_by_role("switch").first.wait_for()
        assert "user_somebody_else" in await opened.page.locator("#who").inner_text()


async def test_forced_colours_and_reduced_motion_are_honoured(development: Server, chromium: Browser) -> None:
    style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).borderStyle, getComputedStyle(e).transitionDuration]"
    async with preferences_page(development, chromium) as plain:
        assert (await plain.switch("product_updates").evaluate(style))[1:] == ["none", "0.16s"]
    async with preferences_page(development, chromium, forced_colors="active", reduced_motion="reduce") as opened:
        on = await opened.switch("product_updates").evaluate(style)
        off = await opened.switch("weekly_usage_digest").evaluate(style)
        # The two states differ in colours of the person's own choice, and nothing moves.
        assert on[0] != off[0]
        assert (on[1], on[2]) == ("solid", "0s")
        assert await findings(opened.page) == []


async def test_without_a_way_to_sign_in_the_page_says_so(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.get("/preferences")
    assert answer.status_code == 404
    assert "CLERK_PUBLISHABLE_KEY" in answer.text
    assert answer.headers["content-security-policy"]
