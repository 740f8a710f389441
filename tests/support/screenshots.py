"""`make screenshots`: pictures of the pages for README and docs/, taken from the service itself.

The service shows the year that `preferences demo` makes. Each picture has a name, an address, and steps that bring the page into the
state to show. Each is taken in light and in dark.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from playwright.async_api import Page

from application.demo.people import MAIN
from tests.support.browser import browser
from tests.support.command import Command
from tests.support.server import Server

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
USERS: Final = "1500"


async def as_it_is(_: Page) -> None:
    return


async def sign_in(page: Page, role: str = "") -> None:
    await page.get_by_label("User").fill(f"user_{'officer' if role else 'reader'}")
    await page.get_by_label("Organization").fill(MAIN)
    if role:
        await page.get_by_label(role).check()
    await page.get_by_role("button", name="Sign in").click()


async def preferences(page: Page) -> None:
    await sign_in(page)
    # The dark picture is of the same person as the light one: the toggles are set, not flipped.
    for toggle, wanted in (("product_updates", "false"), ("weekly_usage_digest", "true")):
        switch = page.locator(f'[id="email.{toggle}"]')
        await switch.wait_for()
        if await switch.get_attribute("aria-checked") != wanted:
            await switch.click()
            await page.locator(f'[part="toggle"][data-saved] [id="email.{toggle}"]').wait_for()
    why = page.locator("[part=toggle]", has_text="Weekly usage digest").locator(".why")
    await why.locator("summary").click()
    await why.get_by_text("You switched it").wait_for()
    await page.locator("[data-saved]").first.wait_for(state="detached")


async def console(page: Page) -> None:
    await sign_in(page, role="Compliance")
    await page.wait_for_selector("main:not([aria-busy]) .view h2")


class Picture(NamedTuple):
    name: str
    address: str
    prepare: Callable[[Page], Awaitable[None]]
    width: int = 860


PICTURES: Final = (
    Picture("sign-in", "preferences", as_it_is),
    Picture("preferences", "preferences", preferences),
    Picture("console-log", "console?view=log&toggle=product_updates&enabled=false&limit=10", console, 1280),
    Picture("console-user", "console?view=user&user=user_demo", console, 1280),
    Picture("console-time", "console?view=time&days=365", console, 1280),
)


async def take(server: Server) -> None:
    IMAGES.mkdir(exist_ok=True)
    async with browser() as launched:
        for name, address, prepare, width in PICTURES:
            for scheme in ("light", "dark"):
                context = await launched.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
                )
                page = await context.new_page()
                await page.goto(f"{server.url}/{address}")
                await page.locator(".sign-in").wait_for()
                await prepare(page)
                await page.evaluate(
                    "document.activeElement?.shadowRoot?.activeElement?.blur(); document.activeElement?.blur()"
                )
                await page.mouse.move(0, 0)
                await page.screenshot(
                    path=IMAGES / f"{name}-{scheme}.png", full_page=name in ("preferences", "console-time")
                )
                await context.close()


def main() -> None:
    with TemporaryDirectory(prefix="preferences-screenshots-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        made = Command(data)("demo", "--users", USERS)
        assert made.returncode == 0, made.stderr
        server = Server("", clerk_issuer=None, clerk_jwt_key=None, data_dir=data)
        # The service then starts the embedded database, which the demo has filled.
        del server.environment["DATABASE_URL"]
        with server:
            asyncio.run(take(server))


if __name__ == "__main__":
    main()
