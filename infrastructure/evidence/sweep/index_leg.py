"""The index of the audit log, held against the log."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from typing_extensions import override

from application.evidence.sweep import MAX_FINDINGS, Finding, StepResult, Subject
from infrastructure.evidence.sweep.leg import Connection, Leg, Look, State
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("sweep_index")


class IndexLeg(Leg):
    name: Final = "audit-index"
    at_once: Final = 65_536

    @override
    def hold(self, connection: Connection) -> None:
        connection.execute(_QUERIES["hold"])

    @override
    def ready(self) -> AbstractContextManager[Look]:
        return nullcontext(look)


class Stretch(NamedTuple):
    """Up to which position it goes, how many events it has, whether the index ends with it, and where the index stands."""

    up_to: int
    events: int
    complete: bool
    stands_at: int


def stretch(connection: Connection, after: int, limit: int) -> Stretch:
    """What comes behind a position. An index that never ran stands before the first event."""
    [(stands_at, end)] = _rows(connection, "ends", after=after, limit=limit)
    if end is not None and end < (stands_at or 0):
        return Stretch(end, limit, False, stands_at)
    [(events,)] = _rows(connection, "count", after=after, up_to=stands_at or 0)
    return Stretch(stands_at or 0, events, True, stands_at or 0)


def look(connection: Connection, state: State, limit: int) -> StepResult:
    """From a position on, to where the index stands."""
    after = 0 if state is None else int(state["after"])
    of = stretch(connection, after, limit)
    try:
        with connection.transaction():
            findings = _compared(connection, after, of.up_to)
    except psycopg.DataError:
        # An event was altered so that nothing can be made of it. The stretch is divided until it is that event alone.
        if limit > 1:
            return look(connection, state, limit // 2)
        place = f"position {of.up_to}"
        findings = [Finding(Subject.EVENT, place, f"the event at {place} can't be read")]
        # Entries before it, at positions that have no event.
        findings += _compared(connection, after, of.up_to - 1)
    if of.complete:
        findings += [*outside(connection, of.stands_at), *_ahead(connection)]
    return StepResult(None if of.complete else {"after": of.up_to}, of.events, findings)


def _compared(connection: Connection, after: int, up_to: int) -> list[Finding]:
    return [*differing(_rows(connection, "compare", after=after, up_to=up_to, most=MAX_FINDINGS), after, up_to)]


def outside(connection: Connection, stands_at: int) -> list[Finding]:
    return [
        Finding(Subject.AUDIT_INDEX, f"position {position}", _sentence(position, "has an entry where no event can be"))
        for (position,) in _rows(connection, "outside", stands_at=stands_at, most=MAX_FINDINGS)
    ]


def _ahead(connection: Connection) -> list[Finding]:
    return [
        Finding(
            Subject.FOLLOWER,
            f"follower {name}",
            f"the follower {name} stands at position {position}, and the log ends at {end}: it passes over what comes next",
        )
        for name, position, end in _rows(connection, "ahead")
    ]


def differing(rows: list[Any], after: int, up_to: int) -> Iterator[Finding]:
    for position, surplus, missing, _ in rows:
        what = (
            "has an entry too many"
            if surplus
            else "lacks its entry"
            if missing
            else "has another entry than the log says"
        )
        yield Finding(Subject.AUDIT_INDEX, f"position {position}", _sentence(position, what))
    if rows and rows[0][-1] > len(rows):
        place = f"positions {after + 1} to {up_to}"
        sentence = (
            f"{rows[0][-1]} entries of the audit index differ at {place}, of which the first {len(rows)} are named"
        )
        yield Finding(Subject.AUDIT_INDEX, place, sentence)


def _sentence(position: int, what: str) -> str:
    return f"the audit index {what} at position {position}: `preferences rebuild audit-index` mends it"


def _rows(connection: Connection, name: str, **parameters: Any) -> list[Any]:
    return connection.execute(_QUERIES[name], parameters).fetchall()
