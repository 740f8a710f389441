"""The index of the audit log, held against the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg
from typing_extensions import override

from application.sweep import MOST, Finding, Subject, Taken
from infrastructure.sql import queries
from infrastructure.sweep.leg import Connection, Leg, Look, State

_QUERIES: Final[dict[str, LiteralString]] = queries("sweep_index")


class IndexLeg(Leg):
    name: Final = "audit-index"
    at_once: Final = 65_536

    @override
    def hold(self, connection: Connection) -> None:
        connection.execute(_QUERIES["hold"])

    @override
    @contextmanager
    def ready(self) -> Iterator[Look]:
        yield look


def look(connection: Connection, state: State, limit: int) -> Taken:
    """From a position on. It ends where the index stands, which is nowhere where it never ran."""
    after = 0 if state is None else int(state["after"])
    [(stands_at, end_of_stretch)] = _rows(connection, "ends", after=after, limit=limit)
    findings = [] if state is not None else _ahead(connection)
    if stands_at is None:
        return Taken(None, 0, findings)
    complete = end_of_stretch is None or end_of_stretch >= stands_at
    up_to = stands_at if complete else end_of_stretch
    try:
        with connection.transaction():
            rows = _rows(connection, "compare", after=after, up_to=up_to, most=MOST)
    except psycopg.DataError:
        # Somebody has altered an event so that nothing can be made of it. The stretch is divided until it is that event alone.
        if limit > 1:
            return look(connection, state, limit // 2)
        place = f"position {up_to}"
        rows, unreadable = [], Finding(Subject.EVENT, place, f"the event at {place} can't be read")
        findings.append(unreadable)
    findings += _differing(rows, after, up_to)
    [(events,)] = _rows(connection, "count", after=after, up_to=up_to)
    if complete:
        findings += [
            Finding(
                Subject.AUDIT_INDEX, f"position {position}", _sentence(position, "has an entry where no event can be")
            )
            for (position,) in _rows(connection, "outside", stands_at=stands_at, most=MOST)
        ]
    return Taken(None if complete else {"after": up_to}, events, findings)


def _ahead(connection: Connection) -> list[Finding]:
    return [
        Finding(
            Subject.FOLLOWER,
            f"follower {name}",
            f"the follower {name} stands at position {position}, and the log ends at {end}: it passes over what comes next",
        )
        for name, position, end in _rows(connection, "ahead")
    ]


def _differing(rows: list[Any], after: int, up_to: int) -> Iterator[Finding]:
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
