"""Followers that write down what they are handed, and the log that they are handed."""

import itertools
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg

from application.log import Recorded
from application.preferences.store import Append
from domain.events import PreferencesEvent
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.events import opened, row_after, toggled
from tests.support.patient_database import patient_database

TABLE = "CREATE TABLE IF NOT EXISTS ledger (number bigserial, position bigint NOT NULL)"


class Ledger:
    """Keeps the positions of the events in a table, in which nothing keeps one from standing twice.

    `poison` are positions that it can't handle.
    """

    def __init__(self, name: str = "ledger", poison: Sequence[int] = ()) -> None:
        self.name = name
        self.poison = set(poison)
        self.batches: list[int] = []

    async def handle(self, events: Sequence[Recorded], transaction: psycopg.AsyncConnection[Any]) -> None:
        self.batches.append(len(events))
        await write_down(transaction, events)
        if self.poison & {position for position, _ in events}:
            raise ValueError("ada@example.com is no good")

    async def reset(self, position: int, transaction: psycopg.AsyncConnection[Any]) -> None:
        await transaction.execute("DELETE FROM ledger WHERE position > %s", [position])


async def write_down(connection: psycopg.AsyncConnection[Any], events: Sequence[Recorded]) -> None:
    await connection.execute(
        "INSERT INTO ledger (position) SELECT unnest(%s::bigint[])", [[position for position, _ in events]]
    )


def written_down(url: str) -> list[int]:
    """What stands in the ledger, in the order in which it was written."""
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT position FROM ledger ORDER BY number")]


def positions(url: str) -> list[int]:
    """What stands in the log."""
    with psycopg.connect(url) as connection:
        return [
            row[0] for row in connection.execute("SELECT notification_id FROM preferences_events ORDER BY 1").fetchall()
        ]


async def record(url: str, events: int, stream: UUID | None = None) -> None:
    """Append a new stream of so many events to the log, as the service does."""
    async with patient_database(url, size=1) as database:
        await PostgresPreferencesStore(database).append([appended(stream or uuid4(), events)])


def appended(stream: UUID, events: int) -> Append:
    choices = ((name, on) for on in itertools.cycle([False, True]) for name in ("product_updates", "delivery_alerts"))
    history: list[PreferencesEvent] = [opened(stream, organization="org_math")]
    history += [toggled(version, *next(choices), stream, organization="org_math") for version in range(2, events + 1)]
    return Append(0, history, row_after(None, *history), opens_key=True)
