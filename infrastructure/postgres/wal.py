"""How far a standby is behind its primary, told by places in the write-ahead log (WAL)."""

import time
from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple

import psycopg

from domain.errors import Unavailable
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.database_clock import steady
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("read_replica")
_SESSION: Final = Session(application="preferences read replica", connect_within=5, answer_within=10)

AGAIN: Final = 0.01
"""Seconds between two questions to a standby that lacks something."""


class ReplicaBehind(Unavailable):
    """The standby lacks something that the answer must have. The primary has it."""


class Mark(NamedTuple):
    """A place in the primary's WAL. All that was committed before `at`, a time of the steady clock, lies before `wal`.

    `server` is the primary's system identifier, `log` names the database and the table, and `since` is the position at which the log was
    last continued.
    """

    at: float
    server: int
    log: str
    wal: int
    since: int


class Standing(NamedTuple):
    """A standby's place in the WAL: it has replayed everything before it. `wal` is None on a server that takes writes."""

    server: int
    log: str
    wal: int | None
    since: int

    def has(self, mark: Mark) -> bool:
        return self.wal is not None and self.wal >= mark.wal

    def fault(self, mark: Mark) -> str | None:
        """The reason why this server will never have what the primary had, however long one waits; None if there is none."""
        if self.wal is None:
            return "it takes writes, so it is no standby"
        if self.server != mark.server:
            return (
                f"it is no standby of this primary: its system identifier is {self.server}, the primary's {mark.server}"
            )
        if self.log != mark.log:
            return "it is a standby of this primary, and this is another database or schema there"
        if self.has(mark) and self.since < mark.since:
            return (
                f"it follows another history of the log, which was continued at position {mark.since}: "
                "make it follow the present primary"
            )
        return None

    def shortfall(self, mark: Mark) -> str | None:
        """The reason why this server lacks what the primary had, also one that passes by itself; None if it has everything."""
        if wrong := self.fault(mark):
            return wrong
        assert self.wal is not None
        return None if self.has(mark) else f"it has yet to replay {mark.wal - self.wal:,} bytes of WAL"


async def mark_of(primary: Connection) -> Mark:
    """Raises `Unavailable` for a server that takes no writes."""
    before = steady()
    return _mark(before, await primary.rows(_QUERIES["primary"]))


async def standing_of(standby: Connection) -> Standing:
    [row] = await standby.rows(_QUERIES["standby"])
    return Standing(*row)


def shortfall(primary_url: str, standby_url: str, within: float) -> str | None:
    """The reason why the standby does not have all that the primary has now, although it had `within` seconds to get it; None if it has it.

    Raises psycopg's errors and `Unavailable` if the primary can't be asked.
    """
    with connect_blocking(primary_url, _SESSION, autocommit=True) as primary:
        before = steady()
        mark = _mark(before, primary.execute(_QUERIES["primary"]).fetchall())
    try:
        with connect_blocking(standby_url, _SESSION, autocommit=True) as standby:
            while True:
                row = standby.execute(_QUERIES["standby"]).fetchone()
                assert row is not None
                standing = Standing(*row)
                if (wrong := standing.fault(mark)) or standing.has(mark):
                    return wrong
                if steady() - before > within:
                    return f"after {within:g} s {standing.shortfall(mark)}"
                time.sleep(AGAIN)
    except (psycopg.Error, Unavailable, OSError) as error:
        return " ".join(str(error).split())


def unreachable(standby_url: str) -> str | None:
    """The reason why there is no connection to the standby; None if there is one. This needs no schema."""
    try:
        with connect_blocking(standby_url, _SESSION):
            return None
    except (psycopg.Error, Unavailable, OSError) as error:
        return " ".join(str(error).split())


def unreadable(standby_url: str) -> str | None:
    """The tables that the role may not read there; None if it may read all that are read on a standby."""
    with connect_blocking(standby_url, _SESSION, autocommit=True) as standby:
        row = standby.execute(_QUERIES["unreadable"]).fetchone()
        assert row is not None
        found: str | None = row[0]
        return found


def _mark(at: float, rows: Sequence[Any]) -> Mark:
    [(server, log, wal, since)] = rows
    if wal is None:
        raise Unavailable("DATABASE_URL leads to a server that takes no writes")
    return Mark(at, server, log, wal, since)
