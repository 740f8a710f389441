"""Current preferences and keys, held against the log, stream by stream."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from typing_extensions import override

from application.evidence.stream_check import StreamFacts, judge_stream
from application.evidence.sweep import Finding, NamedFindings, StepResult, Subject
from infrastructure.evidence.sweep.leg import Connection, Leg, Look, State
from infrastructure.log.sealing import opens
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("sweep_streams")
_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(int=2**128 - 1)
_FETCHED: Final = 2000
"""Streams that are fetched at once: what bounds the memory of a long step."""


class StreamLeg(Leg):
    """At once, a step is long: events of few streams lie on pages far apart, while with those of many each page is read once.

    `first` and `last` bound the streams that a pass goes through.
    """

    name: Final = "streams"
    at_once: Final = 500_000

    def __init__(self, first: UUID = _FIRST, last: UUID = _LAST) -> None:
        self._first = first
        self._last = last

    @classmethod
    def halves(cls) -> tuple["StreamLeg", "StreamLeg"]:
        """Two legs that together go through all streams. Ids of streams are hashes, so each has half of the events."""
        return cls(last=UUID(int=_LAST.int // 2)), cls(first=UUID(int=_LAST.int // 2 + 1))

    @override
    def hold(self, connection: Connection) -> None:
        connection.execute(_QUERIES["hold"])

    @override
    def ready(self) -> AbstractContextManager[Look]:
        return nullcontext(self._look)

    def _look(self, connection: Connection, state: State, limit: int) -> StepResult:
        """The streams of so many events, and all rows and keys whose ids lie between them."""
        first = self._first if state is None else UUID(state["first"])
        row = connection.execute(_QUERIES["last"], {"first": first, "limit": limit}).fetchone()
        last = self._last if row is None else min(row[0], self._last)
        try:
            with connection.transaction():
                events, findings = _compared(connection, first, last)
        except psycopg.DataError:
            # An event was altered so that nothing can be made of it. The range is divided until it is that stream alone.
            if limit > 1:
                return self._look(connection, state, limit // 2)
            place = f"stream {last}"
            events, findings = 1, [Finding(Subject.EVENT, place, f"an event of {place} can't be read")]
            if first < last:
                # Rows and keys before it, which no event belongs to.
                findings += _compared(connection, first, UUID(int=last.int - 1))[1]
        return StepResult(None if last == self._last else {"first": str(UUID(int=last.int + 1))}, events, findings)


def _compared(connection: Connection, first: UUID, last: UUID) -> tuple[int, list[Finding]]:
    events, found = 0, NamedFindings()
    query = psycopg.ClientCursor(connection).mogrify(_QUERIES["streams"], {"first": first, "last": last})
    connection.execute(sql.SQL("DECLARE streams NO SCROLL CURSOR FOR ") + sql.SQL(query))
    fetched = psycopg.Cursor(connection)
    while rows := fetched.execute(f"FETCH {_FETCHED} FROM streams", binary=True).fetchall():
        for row in rows:
            stream, since, version, of_stream, live_version, differs, since_version, *trial = row
            events += of_stream or 0
            key, first_sealed, *sealed = trial
            if (
                differs
                or since != 1
                or of_stream != version
                or since_version != first_sealed
                or not _opens(key, sealed)
            ):
                facts = StreamFacts(
                    stream, since, version, of_stream, differs, live_version, since_version, first_sealed
                )
                found.add(judge_stream(facts, opens=_opens(key, sealed)))
    connection.execute("CLOSE streams")
    return events, found.all(f"streams {first} to {last}")


def _opens(key: bytes | None, sealed: list[Any]) -> bool:
    """Whether the key opens the first and the last event that it is for; where there is none, there is nothing to open."""
    first_id, first, last_id, last = sealed
    if key is None or first is None:
        return True
    return opens(key, [(first, first_id)] if last_id is None else [(first, first_id), (last, last_id)])
