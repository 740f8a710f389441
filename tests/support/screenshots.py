"""`make screenshots`: pictures of the pages for README and docs/, taken from the service itself.

Each picture has a name, an address, and steps that bring the page into the state to show. Each is taken in light and in dark.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.async_api import Page

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres import migrations
from tests.support.browser import browser
from tests.support.catalogues import publish
from tests.support.server import Server

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
SIZE: Final = {"width": 860, "height": 900}


async def preferences(page: Page, user: str) -> None:
    await page.get_by_label("User").fill(user)
    await page.get_by_label("Organization").fill("org_math")
    await page.get_by_role("button", name="Sign in").click()
    for toggle in ("product_updates", "weekly_usage_digest"):
        await page.locator(f'[id="email.{toggle}"]').click()
        await page.locator(f'[part="toggle"][data-saved] [id="email.{toggle}"]').wait_for()
    why = page.locator("[part=toggle]", has_text="Weekly usage digest").locator(".why")
    await why.locator("summary").click()
    await why.get_by_text("You switched it").wait_for()
    await page.evaluate("document.activeElement.shadowRoot?.activeElement?.blur()")
    await page.mouse.move(0, 0)


async def unchanged(_: Page, __: str) -> None:
    return


PICTURES: Final[dict[str, tuple[str, Callable[[Page, str], Awaitable[None]]]]] = {
    "sign-in": ("preferences", unchanged),
    "preferences": ("preferences", preferences),
}


async def take(server: Server) -> None:
    IMAGES.mkdir(exist_ok=True)
    async with browser() as launched:
        for name, (address, prepare) in PICTURES.items():
            # Each picture has a person who has not chosen yet.
            for scheme, user in (("light", "user_ada"), ("dark", "user_grace")):
                context = await launched.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")
                page = await context.new_page()
                await page.goto(f"{server.url}/{address}")
                await page.locator(".sign-in").wait_for()
                await prepare(page, user)
                await page.screenshot(path=IMAGES / f"{name}-{scheme}.png", full_page=True)
                await context.close()


def main() -> None:
    with TemporaryDirectory(prefix="preferences-screenshots-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as postgres:
            migrations.migrate(postgres.url)
            asyncio.run(publish(postgres.url))
            with Server(postgres.url, clerk_issuer=None, clerk_jwt_key=None, data_dir=Path(folder) / "data") as server:
                asyncio.run(take(server))


if __name__ == "__main__":
    main()
