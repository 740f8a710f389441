"""The view of the evidence in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.console_page import Console, officer
from tests.support.held_request import held

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
