"""`preferences followers`, and `preferences follow`."""

import asyncio
import signal
from collections.abc import Callable

import psycopg
import pytest

from infrastructure.followers.journal import PostgresJournal
from tests.support.command import Command, Result, one_sentence
from tests.support.eventually import until
from tests.support.ledger import positions, record
from tests.support.patient_database import patient_database


def row(listed: Result, name: str) -> list[str]:
    """What `list` says of a follower, column by column."""
    assert listed.returncode == 0
    [line] = [line for line in listed.stdout.splitlines() if line.split()[:1] == [name]]
    return [cell for cell in line.strip().split("  ") if cell.strip()]


def cells(listed: Result, name: str) -> list[str]:
    return [cell.strip() for cell in row(listed, name)]


@pytest.fixture
def stopped(database_url: str) -> int:
    """A follower that an event has stopped: `old`, which no release knows any more; the event's position."""

    async def stop() -> int:
        await record(database_url, 5)
        first, second, *_ = positions(database_url)
        async with patient_database(database_url, size=1) as database, database.connection() as connection:
            journal = PostgresJournal(connection, "old")
            await journal.register()
            async with journal.move(0, first):
                pass
            await journal.stop(first, second, ValueError("whatever"))
        return second

    return asyncio.run(stop())


def test_a_follower_is_listed_paused_and_resumed(inside: Callable[..., Result], stopped: int) -> None:
    name, state, position, events, _seconds, stopped_by, why = cells(inside("followers", "list"), "old")
    assert (name, state, position, events) == ("old", "failed", str(stopped - 1), "4")
    assert stopped_by == f"position {stopped}"
    assert why.startswith("ValueError")

    resumed = inside("followers", "resume", "old")
    assert (resumed.returncode, resumed.stdout, resumed.stderr.strip()) == (0, "", "old goes on.")
    assert cells(inside("followers", "list"), "old")[1] == "not running"
    assert cells(inside("followers", "list"), "old")[5:] == ["-", "-"]

    paused = inside("followers", "pause", "old")
    assert (paused.returncode, paused.stdout, paused.stderr.strip()) == (0, "", "old is paused.")
    assert cells(inside("followers", "list"), "old")[1] == "paused"


@pytest.mark.parametrize("command", ["pause", "resume", "reset"])
def test_who_is_not_there_is_one_sentence(inside: Callable[..., Result], command: str) -> None:
    assert one_sentence(inside("followers", command, "nobody")) == "there is no follower nobody"
    assert "nobody" not in inside("followers", "list").stdout


def test_who_is_unknown_to_this_release_can_not_be_set_back(inside: Callable[..., Result], stopped: int) -> None:
    said = one_sentence(inside("followers", "reset", "old"))
    assert said == "old is unknown to this release: it cannot undo its effect"
    assert cells(inside("followers", "list"), "old")[2] == str(stopped - 1)


def test_a_follower_is_set_back_and_makes_it_all_again(
    preferences: Command, inside: Callable[..., Result], database_url: str
) -> None:
    asyncio.run(record(database_url, 6))
    end = positions(database_url)[-1]
    follow_to_the_end(preferences, database_url, end)
    assert cells(inside("followers", "list"), "audit-index")[1:4] == ["not running", str(end), "0"]
    indexed = entries(database_url)
    assert end in indexed

    refused = one_sentence(inside("followers", "reset", "audit-index", "--to", str(end + 1)))
    assert refused == f"audit-index is at position {end}: no event may be passed over"

    partly = inside("followers", "reset", "audit-index", "--to", str(end - 2))
    assert (partly.returncode, partly.stderr.strip()) == (0, f"audit-index is at position {end - 2}.")
    assert entries(database_url) == [position for position in indexed if position <= end - 2]
    assert inside("followers", "reset", "audit-index").returncode == 0
    assert entries(database_url) == []
    assert cells(inside("followers", "list"), "audit-index")[2:4] == ["0", "6"]

    follow_to_the_end(preferences, database_url, end)
    assert entries(database_url) == indexed


def follow_to_the_end(preferences: Command, url: str, end: int) -> None:
    with preferences.start("follow") as running:
        until(lambda: stands_at(url) == end)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)
    assert running.returncode == 0


def stands_at(url: str) -> int | None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT position FROM followers WHERE name = 'audit-index'").fetchone()
        return row[0] if row else None


def entries(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT position FROM audit_entries ORDER BY 1")]


def test_follow_runs_until_it_is_told_to_stop(preferences: Command) -> None:
    with preferences.start("follow") as running:
        assert running.stderr is not None
        assert '"event":"following"' in running.stderr.readline()
        running.send_signal(signal.SIGTERM)
        _, rest = running.communicate(timeout=20)
    assert running.returncode == 0
    assert '"event":"stopped following"' in rest
    assert "Traceback" not in rest


def test_follow_needs_a_database_with_its_schema(preferences: Command, empty_database: str) -> None:
    assert "preferences migrate" in one_sentence(preferences("follow", database_url=empty_database))
