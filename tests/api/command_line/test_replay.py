"""`preferences replay`: the log in files, each event exactly once, whatever happened on the way."""

import fcntl
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.dataset
import pytest

from domain.events import Event
from projections.cloud_events import cloud_event
from tests.support.command import Command, one_sentence
from tests.support.events import NOON, catalogue_published
from tests.support.filled_log import Chance, put
from tests.support.soak import rounds, soak

CHANCE = Chance(11)


def some_days(number: int) -> list[Event]:
    """Events over four days, and not in the order of their times."""
    events = CHANCE.events(number)
    for event in events:
        object.__setattr__(event, "timestamp", NOON + timedelta(hours=CHANCE.random.randrange(96)))
    return events


LOG: list[Event] = [catalogue_published(1, timestamp=NOON), *some_days(2500)]
FEED: list[Any] = [json.loads(json.dumps(cloud_event(number, event))) for number, event in enumerate(LOG, 1)]


@pytest.fixture(scope="module")
def url(new_database) -> str:
    url = new_database()
    put(url, LOG)
    return url


@pytest.fixture
def replay(folder: Path, url: str) -> Callable[..., Any]:
    command = Command(folder, url)
    return lambda *arguments: command("replay", *map(str, arguments))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(folder: Path, query: str = "SELECT * FROM events ORDER BY position") -> list[Any]:
    """As an analyst reads them."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"CREATE VIEW events AS SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    )
    return connection.sql(query).to_arrow_table().to_pylist()


def test_lines_are_the_feed_and_a_second_run_adds_what_is_new_and_nothing_else(replay, folder, new_database) -> None:
    url, path = new_database(), folder / "deep" / "events.jsonl"
    command = Command(folder, url)
    put(url, LOG[:1000])
    first = command("replay", "--to", "jsonl", "--output", str(path))
    assert (first.returncode, first.stdout) == (0, "1000 events, up to position 1000\n")
    put(url, LOG[1000:])
    second = command("replay", "--to", "jsonl", "-o", str(path))
    assert second.stdout == f"{len(LOG) - 1000} events, up to position {len(LOG)}\n"
    third = command("replay", "--to", "jsonl", "--output", str(path))
    assert third.stdout == f"0 events, up to position {len(LOG)}\n"
    assert lines(path) == FEED


def test_filters_select_as_they_do_in_the_feed(replay, folder) -> None:
    selected = [
        event
        for number, event in enumerate(FEED, 1)
        if number > 100
        and event["data"].get("organization") == "org_math"
        and event["data"].get("toggle") == "billing_receipts"
    ]
    arguments = ("--after", 100, "--org", "org_math", "--channel", "email", "--toggle", "billing_receipts")
    for _ in range(2):
        assert replay("--to", "jsonl", "--output", folder / "some", *arguments).returncode == 0
        assert lines(folder / "some") == selected
    assert replay("--to", "parquet", "--output", folder / "same", *arguments).returncode == 0
    assert [row["id"] for row in rows(folder / "same")] == [event["id"] for event in selected]


def test_parquet_has_typed_columns_by_day_and_duckdb_reads_them(replay, folder) -> None:
    done = replay("--to", "parquet", "--output", folder / "events")
    assert done.stdout == f"{len(LOG)} events, up to position {len(LOG)}\n"
    found = rows(folder / "events")
    assert [row["position"] for row in found] == list(range(1, len(LOG) + 1))
    for row, event, recorded in zip(found, FEED, LOG, strict=True):
        data = event["data"]
        assert row["time"] == recorded.timestamp
        assert row["date"] == recorded.timestamp.date()
        assert (row["id"], row["type"], row["stream"]) == (event["id"], event["type"], event["partitionkey"])
        assert row["subject"] == event.get("subject")
        for name in ("organization", "channel", "toggle", "enabled", "previous", "source", "request_id", "version"):
            assert row[name] == data.get(name)
        actor = data.get("actor", {})
        assert (row["actor_kind"], row["actor_label"]) == (actor.get("kind"), actor.get("label"))
    assert json.loads(found[0]["channels"]) == FEED[0]["data"]["channels"]
    types = {row["column_name"]: row["column_type"] for row in rows(folder / "events", "DESCRIBE events")}
    assert (types["position"], types["version"], types["catalogue_version"]) == ("BIGINT", "BIGINT", "INTEGER")
    assert (types["time"], types["date"]) == ("TIMESTAMP WITH TIME ZONE", "DATE")
    assert (types["enabled"], types["previous"], types["toggle"]) == ("BOOLEAN", "BOOLEAN", "VARCHAR")
    days = {path.parent.name for path in (folder / "events").glob("*/part-*.parquet")}
    assert days == {f"date={event.timestamp.date()}" for event in LOG}


def test_parquet_is_read_as_a_dataset_as_pandas_and_arrow_do(replay, folder) -> None:
    replay("--to", "parquet", "--output", folder / "events")
    table = pyarrow.dataset.dataset(folder / "events", partitioning="hive").to_table()
    assert sorted(table["position"].to_pylist()) == list(range(1, len(LOG) + 1))
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_something_else_is_never_added_to(replay, folder, form) -> None:
    into = ("--to", form, "--output", folder / "events")
    assert replay(*into, "--org", "org_math").returncode == 0
    for other in ((), ("--org", "org_chess"), ("--org", "org_math", "--after", 5)):
        assert "another replay began here" in one_sentence(replay(*into, *other))
    if form == "jsonl":
        (folder / "mine").write_text("my diary\n")
    else:
        (folder / "mine").mkdir()
        (folder / "mine" / "diary").write_text("mine")
    assert "no replay has made" in one_sentence(replay("--to", form, "--output", folder / "mine"))


@pytest.mark.parametrize("unreadable", [1, 400, 501])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_what_precedes_an_event_that_can_not_be_read_is_there(folder, new_database, form: str, unreadable: int) -> None:
    url, output = new_database(), folder / "out"
    command = Command(folder, url)
    put(url, LOG[:600])
    with psycopg.connect(url) as connection:
        where = "WHERE notification_id = %s"
        [(topic,)] = connection.execute(f"SELECT topic FROM preferences_events {where}", [unreadable]).fetchall()
        connection.execute(f"UPDATE preferences_events SET topic = 'x' {where}", [unreadable])
    for _ in range(2):
        refused = command("replay", "--to", form, "--output", str(output))
        assert (refused.returncode, refused.stdout) == (1, "")
        said = refused.stderr.splitlines()[-1]  # behind the progress that was made
        assert said.startswith(f"error: the event at position {unreadable} can't be read: x of stream ")
        assert written(form, output) == list(range(1, unreadable))
    # When it can be read, the rest is added to that.
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE preferences_events SET topic = %s {where}", [topic, unreadable])
    done = command("replay", "--to", form, "--output", str(output))
    assert (done.returncode, done.stdout) == (0, f"{601 - unreadable} events, up to position 600\n")
    assert written(form, output) == list(range(1, 601))


def written(form: str, output: Path) -> list[int]:
    """Positions, in order."""
    if form == "jsonl":
        return [int(event["sequence"]) for event in lines(output)] if output.exists() else []
    return [row["position"] for row in rows(output)] if [*output.glob("**/*.parquet")] else []


def test_a_misspelt_word_is_told(replay, folder) -> None:
    for wrong in (("--type", "toggled"), ("--channel", "in_app"), ("--toggle", "novelties"), ("--after", "-1")):
        result = replay("--to", "jsonl", "--output", folder / "events", *wrong)
        assert result.returncode == 2
    assert not (folder / "events").exists()


def test_two_at_once_do_not_write_to_the_same_place(replay, folder, new_database) -> None:
    path = folder / "events"
    assert replay("--to", "jsonl", "--output", path).returncode == 0
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another replay is writing" in one_sentence(replay("--to", "jsonl", "--output", path))


@pytest.mark.parametrize("cut", [1, 2, 300])
def test_a_torn_line_is_cut_off_and_written_again(replay, folder, cut) -> None:
    path = folder / "events"
    replay("--to", "jsonl", "--output", path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert replay("--to", "jsonl", "--output", path).stdout.startswith("1 event,")
    assert path.read_bytes() == whole


def test_a_last_line_that_is_no_event_is_not_written_behind(replay, folder) -> None:
    path = folder / "events"
    replay("--to", "jsonl", "--output", path)
    path.write_bytes(path.read_bytes() + b"{}\n")
    assert "is no event" in one_sentence(replay("--to", "jsonl", "--output", path))


EVENTS = rounds(8_000, 30_000)
KILLS = rounds(3, 8)


@pytest.fixture(scope="module")
def long_log(new_database) -> str:
    """One that it takes a while to replay."""
    url = new_database()
    put(url, some_days(EVENTS))
    return url


@soak
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_killed_at_random_moments_and_run_again_it_has_each_event_exactly_once(
    form, folder, long_log, record_property
) -> None:
    # Given a replay that is killed and run again, over and over
    path = folder / "events"
    command = Command(folder, long_log)
    chance = random.Random(3)
    kills = 0
    while True:
        process = command.start("replay", "--to", form, "--output", str(path))
        # Not before it has begun to write, which is what is to be interrupted.
        before = size(path)
        deadline = time.monotonic() + 20
        while process.poll() is None and size(path) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        try:
            process.wait(chance.uniform(0, EVENTS / 100_000) if kills < KILLS else 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        process.communicate()
        if process.returncode == 0:
            break
    # then in the end each event is there once, in order.
    found = (
        [int(event["sequence"]) for event in lines(path)]
        if form == "jsonl"
        else [row["position"] for row in rows(path)]
    )
    assert found == list(range(1, EVENTS + 1))
    assert not list(folder.rglob("*.tmp"))
    assert kills > 0
    record_property("kills", kills)


def size(path: Path) -> int:
    """Of the file, or of all that is in the folder."""
    if path.is_dir():
        return sum(1 for _ in path.rglob("*"))
    return path.stat().st_size if path.exists() else 0
