"""`preferences partitions`."""

import asyncio
from collections.abc import Callable

from tests.support.command import Result, one_sentence
from tests.support.ledger import record
from tests.support.partitioned import one_table
from tests.support.positions import execute

pytestmark = one_table


def rows(result: Result) -> list[list[str]]:
    """Of each table: its name, first and last position."""
    assert result.returncode == 0, result
    return [line.split()[:3] for line in result.stdout.splitlines() if line.lstrip().startswith("preferences_events")]


def test_the_tables_of_the_log_are_listed_and_one_is_added(inside: Callable[..., Result], database_url: str) -> None:
    asyncio.run(record(database_url, 5))
    assert rows(inside("partitions", "list")) == [["preferences_events", "-", "-"]]
    added = inside("partitions", "add", "--ahead", "1500")
    assert rows(added) == [["preferences_events_1", "-", "1,504"], ["preferences_events_2", "1,505", "-"]]
    assert rows(inside("partitions", "list")) == rows(added)
    execute(database_url, "SELECT setval('preferences_events_notification_id_seq', 1504)")
    asyncio.run(record(database_url, 1))
    assert rows(inside("partitions", "move", "preferences_events_1", "--to", "pg_default")) == rows(added)


def test_what_stands_in_the_way_is_one_sentence(inside: Callable[..., Result], database_url: str) -> None:
    assert inside("partitions", "add").returncode == 0
    assert (
        one_sentence(inside("partitions", "add"))
        == "the last partition, preferences_events_2, begins at position 100000000 and has no event yet"
    )
    moved = inside("partitions", "move", "preferences_events_2", "--to", "pg_default")
    assert (
        one_sentence(moved) == "preferences_events_2 still gets events; only a partition that gets no more can be moved"
    )
    assert inside("partitions", "add", "--ahead", "0").returncode == 2
