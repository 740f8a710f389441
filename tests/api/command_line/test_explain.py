"""`preferences audit explain`: a decision, made or claimed, held against the log."""

import asyncio
import re
from typing import Any

import httpx
import psycopg
import pytest

from domain.catalogue import CATALOGUE, Catalogue, Channel
from infrastructure.identity.api_keys import PostgresApiKeys
from tests.support.catalogues import publish
from tests.support.command import one_sentence
from tests.support.events import ADA
from tests.support.patient_database import patient_database
from tests.support.readings import readings
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

VERSION = CATALOGUE.version
ABOUT = ("audit", "explain", "--org", "org_math", "--channel", "email", "--toggle", "product_updates")


def choose(server: Server, user: str, **toggles: bool) -> None:
    response = httpx.patch(server.url + PATH, json={"email": toggles}, headers=bearer(user))
    assert response.status_code == 200


@pytest.fixture
def receipts(serve, database_url: str):
    """Asks, and gives back the answer's parts that a sender keeps, by user; with the means to change choices."""
    asyncio.run(publish(database_url))
    server = serve()

    async def create() -> str:
        async with patient_database(database_url) as database:
            return await PostgresApiKeys(database).create("org_math", "sender", ["preferences:read"])

    key = asyncio.run(create())

    def ask(*users: str) -> dict[str, tuple[str, ...]]:
        body = {"channel": "email", "toggle": "product_updates", "users": users}
        headers = {"Authorization": f"Bearer {key}"}
        data: dict[str, Any] = httpx.post(f"{server.url}/v1/decisions", json=body, headers=headers).json()["data"]
        return {
            one["user"]: (
                *("--user", one["user"], "--at", str(data["position"]), "--version", str(one["version"])),
                *("--catalogue", str(data["catalogue_version"]), "--reason", one["reason"]),
                "--allowed" if one["allowed"] else "--not-allowed",
            )
            for one in data["decisions"]
        }

    return server, ask


def shown(text: str) -> dict[str, str]:
    return dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines())


def test_what_was_answered_is_borne_out_by_the_log_whatever_happens_later(receipts, inside, database_url: str) -> None:
    server, ask = receipts
    choose(server, "user_ada", product_updates=False)
    kept = ask("user_ada", "user_bob")
    choose(server, "user_ada", product_updates=True)
    choose(server, "user_bob", product_updates=False, billing_receipts=False)
    inside("erase", "--org", "org_math", "--user", "user_ada")
    flipped = [
        type(toggle)(toggle.name, not toggle.default, toggle.mandatory) for toggle in CATALOGUE.channels[0].toggles
    ]
    asyncio.run(publish(database_url, Catalogue(CATALOGUE.version + 1, (Channel("email", tuple(flipped)),))))

    ada = inside(*ABOUT, *kept["user_ada"])
    assert ada.returncode == 0, ada
    explained = shown(ada.stdout)
    assert (explained["allowed"], explained["reason"], explained["catalogue"]) == ("no", "choice", f"version {VERSION}")
    # The words are those that the user was shown, also after a catalogue without any.
    product_updates = CATALOGUE.toggle("email", "product_updates")
    assert product_updates is not None
    words = product_updates.words
    assert words is not None
    assert explained["shown as"] == f"{words.title}: {words.description}"
    assert re.fullmatch(r"event [0-9A-Z]{26}, version 2, at position \d+", explained["decided by"])
    assert (explained["who"], explained["source"]) == ("erased", "dashboard")
    bob = inside(*ABOUT, *kept["user_bob"])
    assert bob.returncode == 0, bob
    explained = shown(bob.stdout)
    assert (explained["allowed"], explained["reason"], explained["user's stream"]) == ("yes", "default", "version 0")
    assert explained["decided by"].startswith("the catalogue, event ")
    now = shown(inside(*ABOUT, "--user", "user_carol").stdout)
    assert (now["allowed"], now["catalogue"]) == ("no", f"version {VERSION + 1}")
    assert now["shown as"] == f"no words: catalogue version {VERSION + 1} has none"
    # A process of the release before decides with its own catalogue until it is replaced.
    late = shown(inside(*ABOUT, *ask("user_carol")["user_carol"]).stdout)
    assert (late["allowed"], late["catalogue"]) == (
        "yes",
        f"version {VERSION}; by then version {VERSION + 1} was in force",
    )


def test_a_claim_that_the_log_does_not_bear_out_is_refused_in_one_sentence(receipts, inside) -> None:
    server, ask = receipts
    choose(server, "user_ada", product_updates=False)
    kept = [*ask("user_ada")["user_ada"]]
    choose(server, "user_ada", product_updates=True)
    forged = ["--allowed" if word == "--not-allowed" else word for word in kept]
    result = inside(*ABOUT, *forged)
    assert result.returncode == 1
    assert result.stderr.strip() == "error: the claim does not hold: it was not allowed"
    assert shown(result.stdout)["allowed"] == "no"
    forged[forged.index("--version") + 1] = "1"
    forged[forged.index("--reason") + 1] = "default"
    sentence = inside(*ABOUT, *forged).stderr.strip()
    assert sentence == (
        "error: the claim does not hold: it was not allowed; the reason was choice, not default; "
        "the user's stream stood at version 2, not 1"
    )


def test_a_claim_that_names_a_catalogue_of_later_is_refused(receipts, inside, database_url: str) -> None:
    _, ask = receipts
    kept = [*ask("user_bob")["user_bob"]]
    asyncio.run(publish(database_url, Catalogue(CATALOGUE.version + 1, CATALOGUE.channels)))
    assert inside(*ABOUT, *kept).returncode == 0
    kept[kept.index("--catalogue") + 1] = str(CATALOGUE.version + 1)
    result = inside(*ABOUT, *kept)
    assert result.returncode == 1
    assert result.stderr.strip() == (
        f"error: the claim does not hold: catalogue version {VERSION + 1} was not published yet, version {VERSION} was in force"
    )
    assert shown(result.stdout)["catalogue"] == f"version {VERSION + 1}; by then version {VERSION} was in force"


def test_who_made_the_choice_and_when_is_told_while_it_can_be(receipts, inside) -> None:
    server, _ = receipts
    choose(server, "user_ada", product_updates=False)
    explained = shown(inside(*ABOUT, "--user", "user_ada", "--version", "2").stdout)
    assert (explained["who"], explained["session"], explained["source"]) == ("user_ada", "sess_user_ada", "dashboard")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", explained["when"])
    assert len(explained["request"]) == 26


def test_an_explanation_is_recorded_with_what_was_asked(receipts, inside, database_url: str) -> None:
    server, ask = receipts
    choose(server, "user_ada", product_updates=False)
    position = ask("user_ada")["user_ada"][3]
    for words in ((), ("--at", position), ("--version", "1", "--catalogue", str(VERSION))):
        assert inside(*ABOUT, "--user", "user_ada", *words).returncode == 0
    asked = {"resource_stream": str(ADA), "channel": "email", "toggle": "product_updates"}
    assert readings(database_url) == [
        ("operator", "org_math", "user_decision.explain", question, 1, "complete")
        for question in (asked, asked | {"at": int(position)}, asked | {"version": 1, "catalogue": VERSION})
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_reads RENAME TO gone")
    result = inside(*ABOUT, "--user", "user_ada")
    assert (result.returncode, result.stdout) == (1, "")


def test_what_was_never_decided_is_one_sentence(receipts, inside) -> None:
    _, ask = receipts
    at = ask("user_ada")["user_ada"][3]
    for arguments, sentence in (
        (["--at", "999"], f"the log ends at position {at}"),
        (["--catalogue", "99"], "catalogue version 99 was never published"),
        (["--version", "1"], "the user's stream ends at version 0"),
        (["--toggle", "nothing"], f"catalogue version {VERSION} has no email.nothing"),
    ):
        assert one_sentence(inside(*ABOUT, "--user", "user_ada", *arguments)) == sentence


def test_a_database_without_a_catalogue_can_explain_nothing(inside) -> None:
    assert one_sentence(inside(*ABOUT, "--user", "user_ada")).startswith("no catalogue is published")
