"""The tests' databases. `make test LOG_PARTITIONS=1 PYTEST_ARGS=--no-cov` gives each a log in two partitions, which no test may notice."""

import os
from typing import Final
from uuid import UUID

import psycopg
import pytest

from infrastructure.log.partitions import add_partition, partitions
from infrastructure.postgres import migrations
from tests.support.positions import execute

PARTITIONED: Final = bool(os.environ.get("LOG_PARTITIONS"))

one_table = pytest.mark.skipif(PARTITIONED, reason="it alters the table of a log that is not partitioned")


def migrated(url: str) -> None:
    migrations.migrate(url)
    if PARTITIONED:
        add_partition(url, ahead=3)


INSERT = "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES "


def insert(url: str, *events: tuple[UUID, int]) -> None:
    """In one statement, as neither the service nor the library does: of these streams and versions."""
    execute(url, INSERT + ", ".join(f"('{stream}', {version}, 'foreign', '{{}}')" for stream, version in events))


def bounds(url: str) -> list[tuple[int | None, int | None]]:
    return [(partition.first, partition.end) for partition in partitions(url)]


def stored_in(url: str) -> list[str]:
    """The table of each event, in the order of the log."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tableoid::regclass::text FROM preferences_events ORDER BY notification_id")
        return [table for (table,) in rows.fetchall()]
