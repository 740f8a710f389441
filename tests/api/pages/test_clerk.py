"""The page with Clerk, behind a proxy that serves it under a prefix. A stand-in takes the place of Clerk's script."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.support.browser import Watched, findings
from tests.support.catalogues import publish
from tests.support.proxies import nginx
from tests.support.server import Server
from tests.support.tokens import ISSUER, PUBLISHABLE_KEY, session_token

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAND_IN = """
window.Clerk = {
    key: document.currentScript.dataset.clerkPublishableKey,
    async load() {
        if (sessionStorage.signedOut) return;
        this.session = { getToken: async ({ skipCache }) => this.user && (skipCache ? %(renewed)s : %(token)s) };
        this.user = { id: "user_ada", fullName: "Ada <b>Lovelace</b>" };
        this.organization = { name: "Math & Co" };
    },
    async redirectToSignIn(options) { document.title = "to " + options.signInForceRedirectUrl; },
    async signOut() { this.user = this.session = null; sessionStorage.signedOut = "yes"; },
};
"""


@pytest.fixture(scope="module")
def proxied(new_database: Callable[[], str]) -> Iterator[str]:
    """The address of the service behind nginx, with the prefix."""
    import asyncio

    url = new_database()
    asyncio.run(publish(url))
    with (
        Server(url, clerk_publishable_key=PUBLISHABLE_KEY) as server,
        nginx(server.url.removeprefix("http://")) as address,
    ):
        yield f"{address}/prefs"


@asynccontextmanager
async def opened(
    chromium: Browser, proxied: str, view: str = "preferences", token: str | None = None, renewed: str | None = None
) -> AsyncIterator[tuple[Page, Watched]]:
    """`renewed` is the token that Clerk makes when it is asked for a new one."""

    async def clerk(route: Route) -> None:
        first = token or session_token("user_ada")
        script = STAND_IN % {"token": json.dumps(first), "renewed": json.dumps(renewed or first)}
        headers = {"Access-Control-Allow-Origin": "*"}
        await route.fulfill(content_type="text/javascript", body=script, headers=headers)

    context = await chromium.new_context(ignore_https_errors=True)
    page, watched = await context.new_page(), Watched()
    watched.watch(page)
    await page.route(f"{ISSUER}/**", clerk)
    await page.goto(f"{proxied}/{view}")
    yield page, watched
    await context.close()


async def test_a_person_whom_clerk_knows_sees_their_preferences(chromium: Browser, proxied: str) -> None:
    async with opened(chromium, proxied) as (page, watched):
        await page.locator('[id="email.product_updates"]').click()
        await page.locator("[role=status]", has_text="Product updates is off. Saved.").wait_for(state="attached")
        assert await page.locator("#who").inner_text() == "Ada <b>Lovelace</b> in Math & Co"
        # One script was loaded from Clerk's instance, and everything else from below the prefix.
        foreign = [one.url for one in watched.requests if not one.url.startswith(f"{proxied}/")]
        assert foreign == [f"{ISSUER}/npm/@clerk/clerk-js@5/dist/clerk.headless.browser.js"]
        assert await page.evaluate("Clerk.key") == PUBLISHABLE_KEY
        assert watched.complaints == []
        assert await page.context.cookies() == []
        assert await findings(page) == []


async def test_a_person_whom_clerk_does_not_know_is_sent_to_sign_in_and_comes_back(
    chromium: Browser, proxied: str
) -> None:
    async with opened(chromium, proxied) as (page, _):
        await page.get_by_role("switch").first.wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/preferences")
        await page.locator("notification-preferences [role=switch]").first.wait_for(state="detached")
        for _ in range(100):
            if await page.title() == f"to {proxied}/preferences":
                break
            await page.wait_for_timeout(50)
        assert await page.title() == f"to {proxied}/preferences"


async def test_when_clerk_can_not_be_reached_the_page_says_so(chromium: Browser, proxied: str) -> None:
    async with opened(chromium, proxied) as (page, _):
        await page.unroute(f"{ISSUER}/**")
        await page.route(f"{ISSUER}/**", lambda route: route.abort())
        await page.reload()
        await page.get_by_text("Clerk can't be reached, so you can't sign in.").first.wait_for()
        await page.get_by_role("button", name="Try again").wait_for()


REFUSED = session_token("user_ada", role="admin", iss="https://another.example")


async def test_a_console_whose_session_the_service_refuses_says_so_and_asks_no_more(
    chromium: Browser, proxied: str
) -> None:
    async with opened(chromium, proxied, "console", token=REFUSED) as (page, watched):
        # Given a session of Clerk whose tokens the service refuses, however often they are renewed
        await page.get_by_role("alert").filter(has_text="The service does not accept your session.").wait_for()
        # then the page has loaded Clerk once, and asked each question twice.
        assert len([one for one in watched.requests if one.url.startswith(ISSUER)]) == 1
        asked = [one.url for one in watched.requests if "/v1/" in one.url]
        assert 2 <= len(asked) <= 4
        await page.get_by_role("button", name="Sign out").wait_for()


async def test_a_token_that_was_refused_once_is_renewed(chromium: Browser, proxied: str) -> None:
    good = session_token("user_ada", role="admin")
    async with opened(chromium, proxied, "console", token=REFUSED, renewed=good) as (page, _):
        await page.get_by_role("heading", name="Log").wait_for()
        assert await page.get_by_role("alert").count() == 0


PREFERENCES = "**/v1/me/notifications"
LOOKED_AT_AGAIN = "window.dispatchEvent(new Event('focus'))"


async def refused_once(page: Page) -> None:
    """The service refuses the token of the next request to the preferences."""
    await page.route(PREFERENCES, lambda route: route.fulfill(status=401, json={}), times=1)


async def test_the_notice_of_a_session_that_was_refused_once_goes_with_the_next_answer(
    chromium: Browser, proxied: str
) -> None:
    async with opened(chromium, proxied) as (page, _):
        notice = page.locator("notification-preferences [part=notice]")
        for asks_again in ("looks", "chooses"):
            # Given a person whose token was refused once, and who is asked to sign in again
            await page.locator('[id="email.product_updates"]').wait_for()
            await refused_once(page)
            await page.evaluate(LOOKED_AT_AGAIN)
            await expect(notice).to_contain_text("You are not signed in.")
            # when the service answers the next token, whether the person looks at the page again or makes a choice,
            if asks_again == "looks":
                async with page.expect_response(PREFERENCES) as answer:
                    await page.evaluate(LOOKED_AT_AGAIN)
                assert (await answer.value).status == 304
            else:
                await page.locator('[id="email.delivery_alerts"]').click()
            # then nothing says any longer that they are not signed in.
            await expect(notice).to_be_hidden()
            assert await page.locator("notification-preferences [role=alert]").inner_text() == ""


COUNT_TOKENS = """() => {
    Object.assign(window, { asked: [], held: null, fails: false });
    const { session } = Clerk;
    const get = session.getToken;
    let number = 1;
    session.getToken = async ({ skipCache }) => {
        asked.push(skipCache);
        if (fails) throw new Error("Clerk can't be reached");
        const token = await get.call(session, { skipCache });
        const kept = number;
        await held?.promise;
        if (!skipCache) return `${token}|${kept}`;
        await new Promise((made) => setTimeout(made, 20));
        return `${token}|${++number}`;
    };
}"""


async def test_a_token_that_is_on_its_way_does_not_pass_for_the_new_one(chromium: Browser, proxied: str) -> None:
    async with opened(chromium, proxied) as (page, _):
        await page.get_by_role("switch").first.wait_for()
        # Given a session whose tokens are numbered: a new one is made on request, and the last one is kept
        sent: list[str] = []

        async def numbered(route: Route) -> None:
            token, number = route.request.headers["authorization"].rsplit("|", 1)
            sent.append(number)
            await route.continue_(headers={**route.request.headers, "authorization": token})

        await page.route("**/v1/**", numbered)
        await page.evaluate(COUNT_TOKENS)
        # and a token that is on its way to one request while another request is refused,
        await page.evaluate("held = Promise.withResolvers()")
        await page.evaluate(LOOKED_AT_AGAIN)
        await page.wait_for_function("asked.length === 2")
        await page.evaluate("going = held, held = null")
        await refused_once(page)
        await page.locator('[id="email.product_updates"]').click()
        await expect(page.locator("notification-preferences [part=notice]")).to_be_visible()
        # when that token arrives,
        sent.clear()
        await page.evaluate("going.resolve()")
        await expect(page.locator("notification-preferences [part=notice]")).to_be_hidden()
        assert sent == ["1", "1"]
        # then the next requests still go with a new one, all of them, although it can't be made at first.
        await page.evaluate("asked.length = 0, fails = true")
        await page.evaluate(LOOKED_AT_AGAIN)
        await page.wait_for_function("asked.length > 0")
        await page.evaluate("fails = false")
        async with page.expect_response(PREFERENCES):
            await page.evaluate(LOOKED_AT_AGAIN)
        assert sent == ["1", "1", "2", "2"]
        # After that it is kept.
        async with page.expect_response(PREFERENCES):
            await page.evaluate(LOOKED_AT_AGAIN)
        assert sent[4:] == ["2", "2"]
        assert (await page.evaluate("asked"))[-2:] == [False, False]
