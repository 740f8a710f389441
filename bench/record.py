"""What a contender's database has recorded."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from bench.contender import Contender, Log
from bench.lag import FOLLOWER, LagWatch
from bench.users import User

OWN = "bench"
"""The name under which the benchmark's own connections are known to PostgreSQL."""

STILL_FOR = 0.15
"""Seconds without a new event, at least, after which the last requests of a load have come to an end."""

INDEXING = f"preferences follower {FOLLOWER}"
"""The name of the audit index's connection."""

FOLLOWED_WITHIN = 90.0
"""Seconds in which the audit index must reach the end of the log after a run."""


class FollowersBehind(Exception):
    pass


class Record:
    def __init__(self, contender: Contender, url: str) -> None:
        self.url = url
        self._contender = contender
        self._connection = _connect(url)
        # Open from the beginning: the time of a connection that ends counts for PostgreSQL (`processor.py`).
        self._beside = _connect(url) if contender.followed else None

    def close(self) -> None:
        self._connection.close()
        if self._beside is not None:
            self._beside.close()

    def watch_lag(self) -> LagWatch:
        """Of a contender with followers."""
        assert self._beside is not None
        return LagWatch(self._beside)

    @property
    def has_log(self) -> bool:
        return self._contender.log is not None

    @property
    def has_choices(self) -> bool:
        return self._contender.choices is not None

    def events(self, after: int = 0) -> int:
        """How many changes the log holds behind a position."""
        log = self._log
        return int(self._one(f"SELECT count(*) FROM {log.table} WHERE {log.position} > {after} AND {log.change}"))

    def position(self) -> int:
        """The end of the log."""
        return int(self._one(f"SELECT coalesce(max({self._log.position}), 0) FROM {self._log.table}"))

    def choices(self, users: Sequence[User]) -> list[bool]:
        """What each user chose last; the default of the toggle is false."""
        if self._contender.choices is None:
            return [False] * len(users)
        keys = [self._contender.key(user) for user in users]
        found = dict(self._connection.execute(self._contender.choices, [keys]).fetchall())
        return [bool(found.get(key)) for key in keys]

    def inconsistent(self, after: int) -> int:
        """Streams changed behind a position whose current row isn't what the last event of the stream says."""
        if self._contender.inconsistent is None:
            return 0
        return int(self._one(self._contender.inconsistent.format(after=after)))

    def wait_until_still(self, patience: float) -> None:
        """Return when what was on its way has arrived, or never will. `patience`: the seconds that a slow request takes."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < max(STILL_FOR, patience):
            time.sleep(0.03)
            now = int(self._one(f"SELECT last_value FROM {self._log.sequence}")) if self.has_log else 0
            if now != before:
                before, since = now, time.monotonic()

    def wait_until_followed(self) -> None:
        """Return when the audit index runs and has reached the end of the log: the next run must not pay for it.

        Raises `FollowersBehind`.
        """
        until = time.monotonic() + FOLLOWED_WITHIN
        leads = f"SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{INDEXING}'"
        there = f"SELECT FROM followers WHERE name = '{FOLLOWER}' AND position >= "
        while not self._one(f"SELECT EXISTS ({leads}) AND EXISTS ({there} {self.position()})"):
            if time.monotonic() > until:
                raise FollowersBehind(f"the audit index did not reach the end of the log within {FOLLOWED_WITHIN:g} s")
            time.sleep(0.03)

    def connections(self) -> tuple[list[int], list[int]]:
        """PostgreSQL's processes for the benchmark's own connections, and those for the audit index of this database."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        ours = self._connection.execute(query, [OWN]).fetchall()
        indexing = self._connection.execute(f"{query} AND datname = current_database()", [INDEXING]).fetchall()
        return [pid for (pid,) in ours], [pid for (pid,) in indexing]

    def with_newest_gone(self, number: int, after: int) -> int:
        """Returns by how much `events` falls when that many of the newest events are taken away. Only this transaction sees it."""
        log = self._log
        with self._snapshot():
            before = self.events(after)
            self._connection.execute(
                f"DELETE FROM {log.table} WHERE {log.position} IN "
                f"(SELECT {log.position} FROM {log.table} WHERE {log.change} ORDER BY 1 DESC LIMIT {number})"
            )
            return before - self.events(after)

    def with_newest_doubled(self, after: int) -> int:
        """By how many it is higher when the newest event is there twice."""
        log = self._log
        with self._snapshot():
            before = self.events(after)
            self._connection.execute(
                f"INSERT INTO {log.table} ({log.version}, {log.copied}) SELECT {log.version} + 1, {log.copied} FROM {log.table} "
                f"WHERE {log.change} ORDER BY {log.position} DESC LIMIT 1"
            )
            return self.events(after) - before

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """A transaction that sees no event of others that arrives meanwhile, and is rolled back."""
        with self._connection.transaction(force_rollback=True):
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield

    @property
    def _log(self) -> Log:
        assert self._contender.log is not None
        return self._contender.log

    def _one(self, query: str) -> object:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def _connect(url: str) -> psycopg.Connection:
    # Statements are planned each time: a plan made while the log was empty would read all of it.
    return psycopg.connect(url, autocommit=True, application_name=OWN, prepare_threshold=None)
