"""Commands that read from a standby, and what `check` says of it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infrastructure.postgres.wal import Mark, Standing
from tests.api.command_line.test_check import verdicts
from tests.support.catalogues import publish
from tests.support.command import Command
from tests.support.ledger import positions, record
from tests.support.standby import Pair


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Pair.running() as running:
        running.follow(synchronous=False)
        yield running


@pytest.fixture
def urls(pair: Pair) -> tuple[str, str]:
    """A log of some events, on the primary and on the standby."""
    url = pair.new_database()
    asyncio.run(publish(url))
    asyncio.run(record(url, 5))
    return pair.both(url)


@pytest.fixture
def preferences(urls: tuple[str, str], folder: Path) -> Command:
    primary, standby = urls
    command = Command(folder / "data", primary)
    command.settings["read_database_url"] = standby
    return command


def reads(url: str) -> int:
    """Rows of the log that were read on this server, so far."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        [(read,)] = connection.execute(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'preferences_events'"
        ).fetchall()
    return read


# check


def test_a_standby_that_has_everything_is_well(preferences: Command) -> None:
    result = preferences("check")
    assert result.returncode == 0
    assert verdicts(result)["replica"] == (True, "has all that the primary has")


def test_what_is_no_standby_of_this_log_is_named(preferences: Command, pair: Pair, urls: tuple[str, str]) -> None:
    primary, standby = urls
    _, of_another_log = pair.both(pair.new_database())
    with psycopg.connect(primary, autocommit=True) as connection:
        connection.execute("CREATE ROLE nosy LOGIN")
        connection.execute("GRANT SELECT ON preferences_events, log_servers TO nosy")
    pair.catch_up()
    for url, said in (
        (primary, "reads go to the primary: it takes writes, so it is no standby"),
        (
            of_another_log,
            "reads go to the primary: it is a standby of this primary, and this is another database or schema there",
        ),
        (
            standby.replace("postgres@", "nosy@"),
            "its role may not read audit_classes, audit_daily_counts, audit_entries, audit_uncounted, checkpoints, current_preferences, followers, log_tiles, person_keys",
        ),
        ("postgresql://127.0.0.1:1/nowhere", "reads go to the primary: connection"),
    ):
        result = preferences("check", read_database_url=url)
        well, finding = verdicts(result)["replica"]
        assert (result.returncode, well) == (1, False)
        assert finding.startswith(said)


def test_a_standby_that_does_not_catch_up_is_named(preferences: Command, pair: Pair, urls: tuple[str, str]) -> None:
    pair.pause()
    try:
        asyncio.run(record(urls[0], 5))
        result = preferences("check", read_lag_limit="0.5")
    finally:
        pair.go_on()
    well, finding = verdicts(result)["replica"]
    assert (result.returncode, well) == (1, False)
    assert finding.startswith("reads go to the primary: after 0.5 s it has yet to replay ")


def test_a_standby_of_another_primary_or_of_a_lost_history_never_has_what_the_primary_has() -> None:
    mark = Mark(0.0, server=1, log="5/16384", wal=1000, since=0)
    continued = mark._replace(since=10**15)
    ahead = Standing(server=1, log="5/16384", wal=2000, since=0)
    assert ahead.shortfall(mark) is None
    assert "system identifier is 2, the primary's 1" in (ahead._replace(server=2).shortfall(mark) or "")
    assert "another history of the log, which was continued at position 1000000000000000" in (
        ahead.shortfall(continued) or ""
    )
    # Before it has replayed the continuation, it may still be the same history.
    assert ahead._replace(wal=900).fault(continued) is None
    assert ahead._replace(wal=900).shortfall(continued) == "it has yet to replay 100 bytes of WAL"


# Commands that read


def test_replay_export_and_verification_read_the_standby(
    preferences: Command, pair: Pair, urls: tuple[str, str], folder: Path
) -> None:
    # Given a log of some length
    primary, standby = urls
    asyncio.run(record(primary, 300))
    assert preferences("audit", "checkpoint").returncode == 0
    pair.catch_up()
    before = reads(primary), reads(standby)
    # when commands read it from end to end
    replayed = preferences("replay", "--to", "jsonl", "--output", str(folder / "events.jsonl"))
    assert replayed.returncode == 0
    verified = preferences("audit", "verify")
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "Nothing was altered.")
    exported = preferences("audit", "export", "--org", "org_math")
    assert exported.returncode == 0
    assert "read replica" not in replayed.stderr + verified.stderr + exported.stderr
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [int(event["sequence"]) for event in events] == positions(primary)
    # then the primary is asked for its catalogue, which may be a scan, and for the end of its log, and no more.
    assert reads(primary) - before[0] < 2 * 300
    assert reads(standby) - before[1] >= 3 * 300


@pytest.mark.parametrize("command", ["replay", "verify"])
def test_a_command_waits_for_the_standby_to_catch_up_or_reads_the_primary(
    preferences: Command, pair: Pair, urls: tuple[str, str], folder: Path, command: str
) -> None:
    # Given a standby that lacks events which a checkpoint has signed
    primary, _ = urls
    pair.pause()
    try:
        asyncio.run(record(primary, 7))
        assert preferences("audit", "checkpoint").returncode == 0
        # when a command is to read it, then it says that it reads the primary, and misses nothing.
        arguments = {
            "replay": ["replay", "--to", "jsonl", "--output", str(folder / "events.jsonl")],
            "verify": ["audit", "verify"],
        }[command]
        result = preferences(*arguments, read_lag_limit="0.5", log_level="warning")
    finally:
        pair.go_on()
    assert result.returncode == 0, result
    assert "the read replica is not used: the primary is read instead" in result.stderr
    assert f"up to position {positions(primary)[-1]}" in result.stdout
