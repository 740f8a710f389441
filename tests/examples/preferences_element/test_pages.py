"""The example pages: the element works in plain HTML, in React and in Vue, on another origin than the service's."""

import httpx
import pytest
from playwright.async_api import Browser

from tests.support.browser import Watched, counterpart_file, findings
from tests.support.preferences_page import ORGANIZATION
from tests.support.server import PATH, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def token_of(server: Server, user: str) -> str:
    async with httpx.AsyncClient(base_url=server.url) as http:
        asked = {"user": user, "organization": ORGANIZATION, "role": ""}
        made = await http.post("/development/session", json=asked, headers={"Origin": server.url})
        return made.json()["data"]["token"]


@pytest.mark.parametrize("kind", ["plain", "react", "vue"])
async def test_a_dashboard_made_with_it_shows_and_changes_preferences(
    development: Server, dashboard: str, chromium: Browser, kind: str
) -> None:
    if kind != "plain":
        counterpart_file(f"{kind}/package.json")
    token = await token_of(development, f"user_of_{kind}")
    # Without motion a colour is there at once.
    context = await chromium.new_context(reduced_motion="reduce")
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    # Given the page of a dashboard
    await page.goto(f"{dashboard}/{kind}.html#service={development.url}&token={token}")
    switch = page.locator('[id="email.weekly_usage_digest"]')
    await switch.wait_for()
    assert await page.get_by_role("switch").count() == 5
    # when the person switches something on, then the service has it, and the page is told.
    await switch.click()
    await page.locator("#last", has_text="email.weekly_usage_digest: true").wait_for()
    async with httpx.AsyncClient(base_url=development.url) as http:
        read = await http.get(PATH, headers={"Authorization": f"Bearer {token}"})
    assert read.json()["data"]["email"]["weekly_usage_digest"] is True
    # The page's own rendering leaves the element and its focus as they were.
    assert await page.evaluate("document.activeElement.localName") == "notification-preferences"
    assert await switch.get_attribute("aria-checked") == "true"
    # The page's own colour and its style for a part are used, and nothing of the element's style leaks out.
    assert await switch.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(122, 46, 142)"
    assert await page.locator(".channel").evaluate("e => getComputedStyle(e).textTransform") == "uppercase"
    assert await page.locator("h1").evaluate("e => getComputedStyle(e).fontSize") == "32px"
    assert await page.evaluate("document.styleSheets.length + document.adoptedStyleSheets.length") == 1
    await page.locator(".history > summary").click()
    await page.locator(".changes b").wait_for()
    assert watched.complaints == []
    assert watched.origins() == {dashboard, development.url}
    assert await findings(page) == []
    await context.close()


async def test_a_dashboard_with_a_strict_policy_names_the_service_and_allows_nothing_else(
    development: Server, dashboard: str, chromium: Browser
) -> None:
    token = await token_of(development, "user_strict")
    context = await chromium.new_context()
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    # Given a dashboard whose policy allows its own script, and the service for scripts and requests, but no style at all
    await page.goto(f"{dashboard}/strict.html?service={development.url}#{token}")
    # then the element works and has its look, and the browser has refused nothing.
    switch = page.locator('[id="email.product_updates"]')
    await switch.click()
    await page.locator("[role=status]", has_text="is off. Saved.").wait_for(state="attached")
    assert await switch.evaluate("e => getComputedStyle(e).borderRadius") != "0px"
    assert [said for said in watched.complaints if "favicon" not in said] == []
    # Control: a style of the page itself is refused.
    await page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert any("Content Security Policy" in said for said in watched.complaints)
    await context.close()


async def test_a_new_function_for_tokens_leaves_what_is_shown_unless_it_names_another_person(
    development: Server, dashboard: str, chromium: Browser
) -> None:
    tokens = [await token_of(development, user) for user in ("user_rendered", "user_after_that")]
    async with httpx.AsyncClient(base_url=development.url) as http:
        caller = {"Authorization": f"Bearer {tokens[1]}"}
        await http.patch(PATH, json={"email": {"product_updates": False}}, headers=caller)
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(f"{dashboard}/plain.html#service={development.url}&token={tokens[0]}")
    switch = page.locator('[id="email.product_updates"]')
    await switch.focus()
    # When a framework renders again, and makes a new function with it, then the switches and the focus stay.
    set_anew = """async token => {
        const element = document.querySelector("notification-preferences");
        const before = element.shadowRoot.querySelector("[role=switch]");
        element.getToken = async () => token;
        await new Promise(done => setTimeout(done));
        return before.isConnected && element.shadowRoot.activeElement === before;
    }"""
    assert await page.evaluate(set_anew, tokens[0])
    assert await switch.get_attribute("aria-checked") == "true"
    # When the function names another person, then their preferences are shown.
    assert not await page.evaluate(set_anew, tokens[1])
    await page.locator('[id="email.product_updates"][aria-checked="false"]').wait_for()
    # When it names no one any more, then nothing of the person stays.
    await page.evaluate(set_anew, None)
    await switch.wait_for(state="detached")
    await context.close()


async def test_an_element_that_is_taken_away_asks_no_more(
    development: Server, dashboard: str, chromium: Browser
) -> None:
    token = await token_of(development, "user_taken_away")
    context = await chromium.new_context()
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    await page.goto(f"{dashboard}/plain.html#service={development.url}&token={token}")
    await page.get_by_role("switch").first.wait_for()
    await page.evaluate("window.taken = document.querySelector('notification-preferences'); taken.remove()")
    asked = len(watched.requests)
    await page.evaluate(
        "dispatchEvent(new Event('focus')); new BroadcastChannel('notification-preferences').postMessage('changed')"
    )
    # Put back, it shows the person's preferences again. The property set before is still there.
    await page.evaluate("document.querySelector('main').append(taken)")
    await page.get_by_role("switch").first.wait_for()
    assert len([one for one in watched.requests[asked:] if one.method == "GET" and one.url.endswith(PATH)]) == 1
    # A page may set the properties before the element's class is there.
    await page.evaluate(
        """token => {
        const early = document.createElement("notification-preferences");
        Object.defineProperty(early, "getToken", {value: () => token, configurable: true, enumerable: true, writable: true});
        taken.replaceWith(early);
    }""",
        token,
    )
    await page.get_by_role("switch").first.wait_for()
    assert watched.complaints == []
    await context.close()


async def test_every_text_can_be_replaced(development: Server, dashboard: str, chromium: Browser) -> None:
    token = await token_of(development, "user_translated")
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(f"{dashboard}/plain.html#service={development.url}&token={token}")
    await page.get_by_role("switch").first.wait_for()
    # Given a page that puts a mark on each text, as a translation would
    await page.evaluate(
        """async service => {
        const { ENGLISH } = await import(`${service}/elements/texts.js`);
        const marked = (texts) => Object.fromEntries(Object.entries(texts).map(
            ([name, text]) => [name, typeof text === "string" ? `«${text}»` : marked(text)]));
        const element = document.querySelector("notification-preferences");
        const words = Object.fromEntries(["email", ...[...element.shadowRoot.querySelectorAll("[role=switch]")].map((one) => one.id)]
            .map((path) => [path, { title: `«${path}»`, description: `«${path}»` }]));
        element.texts = { ...marked(ENGLISH), lang: "de", words };
    }""",
        development.url,
    )
    await page.locator('[id="email.product_updates"]').click()
    await page.locator("[role=status]", has_text="««email.product_updates» is off. Saved.»").wait_for(state="attached")
    for summary in await page.locator("summary").all():
        await summary.click()
    await page.locator(".changes b").wait_for()
    # then no text is without it: each line begins with the mark.
    shown = await page.locator("[part=container]").inner_text()
    lines = [line for line in shown.split("\n") if line.strip()]
    assert len(lines) > 15
    assert [line for line in lines if not line.startswith("«")] == []
    assert await page.locator("[part=container]").get_attribute("lang") == "de"
    assert "November" in shown or "." in shown
    await context.close()
