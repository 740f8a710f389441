"""What a contender's database has recorded."""

import time
from collections.abc import Sequence

import psycopg

from bench.contender import Contender
from bench.users import User

STILL_FOR = 0.15
"""Seconds without a new event after which the last requests of a load have come to an end."""

FOLLOWED_WITHIN = 30.0
"""Seconds in which the audit index must reach the end of the log after a run."""


class FollowersBehind(Exception):
    pass


class Record:
    def __init__(self, contender: Contender, url: str) -> None:
        self.url = url
        self._contender = contender
        self._connection = psycopg.connect(url, autocommit=True, application_name="bench")

    def close(self) -> None:
        self._connection.close()

    @property
    def has_log(self) -> bool:
        return self._contender.events is not None

    @property
    def has_choices(self) -> bool:
        return self._contender.choices is not None

    def events(self, after: int = 0) -> int:
        """How many changes the log holds behind a position."""
        return int(
            self._one(f"SELECT count(*) FROM preferences_events WHERE notification_id > {after} AND {self._condition}")
        )

    def position(self) -> int:
        """The end of the log."""
        return int(self._one("SELECT coalesce(max(notification_id), 0) FROM preferences_events"))

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

    def wait_until_still(self) -> None:
        """Return when what was on its way has arrived, or never will."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < STILL_FOR:
            time.sleep(0.03)
            now = int(self._one("SELECT last_value FROM preferences_events_notification_id_seq")) if self.has_log else 0
            if now != before:
                before, since = now, time.monotonic()

    def wait_until_followed(self) -> None:
        """Return when the audit index has reached the end of the log: the next run must not pay for it. Raises `FollowersBehind`."""
        until = time.monotonic() + FOLLOWED_WITHIN
        while self._one(f"SELECT position < {self.position()} FROM followers WHERE name = 'audit-index'"):
            if time.monotonic() > until:
                raise FollowersBehind(f"the audit index did not reach the end of the log within {FOLLOWED_WITHIN:g} s")
            time.sleep(0.03)

    def backends(self) -> list[int]:
        """The process ids of all connections to the database but this one."""
        rows = self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in rows]

    def with_newest_gone(self, number: int, after: int) -> int:
        """What `events` says when that many of the newest events are taken away, for a moment and for nobody else."""
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(
                "DELETE FROM preferences_events WHERE notification_id IN "
                f"(SELECT notification_id FROM preferences_events WHERE {self._condition} ORDER BY 1 DESC LIMIT {number})"
            )
            return self.events(after)

    def with_newest_doubled(self, after: int) -> int:
        """The same, when the newest event is there twice."""
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(
                "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
                "SELECT originator_id, originator_version + 1, topic, state FROM preferences_events "
                f"WHERE {self._condition} ORDER BY notification_id DESC LIMIT 1"
            )
            return self.events(after)

    @property
    def _condition(self) -> str:
        assert self._contender.events is not None
        return self._contender.events

    def _one(self, query: str) -> object:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return row[0]
