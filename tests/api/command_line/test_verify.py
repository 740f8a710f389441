"""`preferences audit verify` of all that there is, `audit sweep`, and `rebuild audit-index`."""

import asyncio

import httpx
import psycopg
import pytest

from domain.preferences import stream_id
from tests.support.command import Command
from tests.support.filled_log import take_in
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

USERS = [f"user_{number}" for number in range(5)]


@pytest.fixture
def chosen(database_url: str, inside) -> str:
    """A database in which five users have chosen, whose index is complete, and which is signed; its URL."""
    with Server(database_url) as server, httpx.Client(base_url=server.url) as http:
        for user in USERS:
            assert http.patch(PATH, json={"email": {"product_updates": False}}, headers=bearer(user)).status_code == 200
    asyncio.run(take_in(database_url))
    assert inside("audit", "checkpoint").returncode == 0
    return database_url


def run(url: str, statement: str, *parameters: object) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement, parameters)


def test_all_that_there_is_verifies(chosen: str, preferences: Command) -> None:
    result = preferences("audit", "verify")
    assert result.returncode == 0
    assert result.stdout.splitlines()[-2:] == [
        "Audit index, current preferences and keys are what the log says.",
        "Nothing was altered.",
    ]
    assert "verifying what is made of it" in result.stderr


def test_what_is_made_of_the_log_and_isnt_what_it_says_is_named(chosen: str, inside) -> None:
    stream = stream_id("org_math", USERS[0])
    run(chosen, "UPDATE person_keys SET key = sha256(key) WHERE originator_id = %s", stream)
    run(chosen, "DELETE FROM audit_entries WHERE position = 2")
    result = inside("audit", "verify")
    assert result.returncode == 1
    assert f"  the key of stream {stream} doesn't open what it is for" in result.stdout
    assert "  the audit index lacks its entry at position 2" in result.stdout
    assert result.stdout.splitlines()[-1] == "What is made of the log isn't what the log says."
    # Whoever asks for the log alone is told of the log alone.
    log_only = inside("audit", "verify", "--log-only")
    assert (log_only.returncode, log_only.stdout.splitlines()[-1]) == (0, "Nothing was altered.")


def test_of_many_findings_the_first_are_named(chosen: str, inside) -> None:
    run(chosen, "TRUNCATE person_keys")
    run(chosen, "TRUNCATE current_preferences")
    run(chosen, "TRUNCATE audit_entries")
    result = inside("audit", "verify")
    assert result.returncode == 1
    assert "has no key, and version 1 was sealed and not erased" in result.stdout


def test_the_sweep_says_how_far_it_is_and_what_it_found(chosen: str, inside, preferences: Command) -> None:
    assert inside("audit", "sweep").stdout.splitlines()[-1] == "Nothing was found."
    assert inside("audit", "sweep").stderr.startswith("Nothing was swept yet")
    run(chosen, "DELETE FROM audit_entries WHERE position = 2")
    swept = preferences("audit", "sweep", "--now")
    assert swept.returncode == 1
    assert "the audit index lacks its entry at position 2" in swept.stdout
    assert '"level":"critical"' in swept.stderr
    # when it is made right
    assert inside("rebuild", "audit-index").returncode == 1
    swept = preferences("audit", "sweep", "--now")
    assert (swept.returncode, swept.stdout.splitlines()[-1]) == (0, "Nothing was found.")
    assert "the sweep no longer finds it" in swept.stderr


def test_the_index_is_compared_and_made_right_where_it_differs(chosen: str, inside) -> None:
    assert inside("rebuild", "audit-index", "--compare-only").stdout.splitlines() == [
        "10 events, up to position 10",
        "equal",
    ]
    run(chosen, "DELETE FROM audit_entries WHERE position = 2")
    run(chosen, "INSERT INTO audit_entries VALUES (77, now(), gen_random_uuid(), 1)")
    compared = inside("rebuild", "audit-index", "--compare-only")
    assert compared.returncode == 1
    assert compared.stdout.splitlines()[-1] == "not equal: 2 entries, 1 daily count"
    repaired = inside("rebuild", "audit-index")
    assert repaired.returncode == 1
    assert repaired.stdout.splitlines()[-1] == "not equal: 2 entries; the index now says what the log says"
    assert inside("rebuild", "audit-index").returncode == 0
