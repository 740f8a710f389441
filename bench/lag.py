"""How far the audit index is behind the log while a load runs."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import psycopg

from infrastructure.log.event_codec import recorded_at

EVERY = 0.1
"""Seconds between two looks."""

FOLLOWER = "audit-index"


@dataclass(frozen=True)
class Lag:
    """How many `events` the index had still to take in, and how many `seconds` ago the oldest of them was recorded."""

    events: int = 0
    seconds: float = 0.0

    def at_most(self, other: "Lag") -> "Lag":
        """The higher of both figures."""
        return Lag(max(self.events, other.events), max(self.seconds, other.seconds))


class LagWatch:
    """Looks from when it is entered until it is left, in a thread of its own; `most` is the most that it has seen."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._watching: Future[None] | None = None
        self.most = Lag()

    def __enter__(self) -> Self:
        self._watching = self._thread.submit(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.shutdown()
        assert self._watching is not None
        self._watching.result()

    def has_failed(self) -> bool:
        """Whether it has stopped looking before it was left; leaving it raises why."""
        return self._watching is not None and self._watching.done()

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self.most = self.most.at_most(lag(self._connection))


def lag(connection: psycopg.Connection) -> Lag:
    """Of this moment. Two statements, since PostgreSQL would read the whole log for a position that it has to look up itself."""
    row = connection.execute("SELECT position FROM followers WHERE name = %s", [FOLLOWER]).fetchone()
    position = 0 if row is None else int(row[0])
    found = connection.execute(
        "SELECT count(*), clock_timestamp(), (SELECT state FROM preferences_events "
        f"WHERE notification_id > {position} ORDER BY notification_id LIMIT 1) "
        f"FROM preferences_events WHERE notification_id > {position}"
    ).fetchone()
    assert found is not None
    events, now, oldest = found
    since: datetime = now if oldest is None else recorded_at(oldest) or now
    return Lag(events, max((now - since).total_seconds(), 0.0))
