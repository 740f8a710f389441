"""The verifier in the browser and `preferences audit verify-bundle` say the same of the same files."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route

from api import bootstrap
from api.command_line.console import sentence
from api.pages import console
from application.evidence.bundle import Bundle
from domain.preferences import stream_id
from tests.support.browser import page as browser_page
from tests.support.command import Command, Result, one_sentence
from tests.support.damaged_bundles import Damaged, damaged_bundles
from tests.support.events import KEY
from tests.support.signed_log import SignedLog, erased_log, filled, strange_user_log, traced_log, unsealed_log
from tests.support.soak import rounds

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN = "verified"
TAKEN_THOUGH = ["catalogues is []"]
MODULES = Path(console.__file__).parent / "static"
VERIFY = """
async (cases) => {
    const { verdict, verifyBundle } = await import("/verify.js");
    const answers = [];
    for (const [data, key] of cases) {
        const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
        try {
            answers.push(verdict(await verifyBundle(bytes, key)));
        } catch (error) {
            answers.push(error.message);
        }
    }
    return answers;
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    """A page without a network: what it loads are the verifier's own modules."""

    async def module(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        await route.fulfill(body=(MODULES / name).read_text() if name else "<!doctype html>", content_type=kind(name))

    def kind(name: str) -> str:
        return "text/javascript" if name else "text/html"

    async with browser_page("about:blank") as opened:
        await opened.route("**/*", module)
        await opened.goto("https://verifier.test/")
        yield opened


@pytest.fixture
def command(tmp_path: Path, monkeypatch, capsys) -> Callable[[bytes, str], Result]:
    """`verify-bundle`, where no database is."""
    nowhere = Command(tmp_path / "data", "postgresql://127.0.0.1:1/nowhere")
    file = tmp_path / "bundle.json"

    def run(data: bytes, key: str) -> Result:
        file.write_bytes(data)
        return nowhere.inside(monkeypatch, capsys, "audit", "verify-bundle", str(file), f"--key={key}", columns=400)

    return run


async def verified(page: Page, *cases: tuple[bytes, str]) -> list[Any]:
    return await page.evaluate(VERIFY, [[b64encode(data).decode(), key] for data, key in cases])


def good_bundles() -> list[tuple[SignedLog, Bundle]]:
    log, unsealed, erased, strange, traced = (
        *(filled(), unsealed_log(), erased_log()),
        *(strange_user_log(), traced_log()),
    )
    organization, user = 'org <b>"é"</b>\u2028\\', "user_\x7f\U0001f600\n"
    assert strange.leaves[0].stream == stream_id(organization, user)
    return [
        (log, log.bundle("org_math", "user_ada")),
        (log, log.bundle(None, "user_bob")),
        (log, log.bundle("org_math", "user_nobody", None)),
        (unsealed, unsealed.bundle("org_math", "user_ada", KEY[::-1])),
        (erased, erased.bundle("org_math", "user_ada", None)),
        (strange, strange.bundle(organization, user)),
        (traced, traced.bundle("org_math", "user_ada")),
    ]


async def test_of_a_good_bundle_both_show_the_same(page: Page, command) -> None:
    # Given bundles with and without an organization, of an erased person, of an impersonated one, of a strange name, of no choice
    cases = [(bundle.render(), log.public_key) for log, bundle in good_bundles()]
    # when both verify them,
    answers = await verified(page, *cases)
    for (data, key), answer in zip(cases, answers, strict=True):
        result = command(data, key)
        assert result.returncode == 0, result
        assert isinstance(answer, dict), answer
        # then the lines are the same, and each cell of each choice is.
        said = [line for line in (" ".join(line.split()) for line in result.stdout.splitlines()) if line]
        for line_of_it in (*answer["head"], *answer["foot"]):
            assert " ".join(line_of_it.split()) in " ".join(said)
        shown = [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines() if line.startswith("  2026-")]
        assert shown == answer["rows"]
    assert 'Catalogue 2, email.product_updates: "News <b>& more</b>" (All “that” is new.)' in answers[0]["foot"]
    assert [len(answer["rows"]) for answer in answers] == [4, 2, 0, 3, 1, 0, 2]
    assert {row[4] for answer in answers for row in answer["rows"]} == {
        "user_ada",
        "user_bob",
        "unsubscribe link of user_bob",
        "user_staff for user_ada",
        "erased",
    }


async def test_of_a_damaged_bundle_both_say_the_same_sentence(page: Page, command) -> None:
    # Given bundles that are damaged, each in another place
    cases: list[Damaged] = [case for seed in range(rounds(1, 5)) for case in damaged_bundles(seed)]
    assert len({(case.data, case.key) for case in cases}) > 400
    # when both verify them,
    answers = await verified(page, *((case.data, case.key) for case in cases))
    # then neither takes one that the other refuses, and both name the same fault.
    said = [sentence_on(case) for case in cases]
    told = [TAKEN if isinstance(answer, dict) else answer for answer in answers]
    assert [
        differing
        for differing in zip((case.place for case in cases), said, told, strict=True)
        if differing[1] != differing[2]
    ] == []
    # A bundle without catalogues is a good one: what the user was told then reads `unknown`.
    assert [case.place for case, told in zip(cases, said, strict=True) if told == TAKEN] == TAKEN_THOUGH
    # The command itself says these sentences: they are tried on more than a hundred of the files.
    for case, expected in [*zip(cases, said, strict=True)][:: len(cases) // 110]:
        result = command(case.data, case.key)
        assert (TAKEN if result.returncode == 0 else one_sentence(result)) == expected, case.place
    # All sentences that there are occur.
    kinds = {re.sub(r"\d+|'.*'", "…", one) for one in said}
    assert len(kinds) > 15, kinds


def sentence_on(case: Damaged) -> str:
    """What the command says, by the function that it calls: five hundred commands would take a minute."""
    try:
        bootstrap.evidence.verify_bundle(case.data, case.key)
    except bootstrap.errors.OPERATOR_ERRORS as error:
        return sentence(error)
    return TAKEN
