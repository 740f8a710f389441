"""Reads the log in its order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString, NamedTuple

from psycopg.rows import TupleRow
from typing_extensions import override

from application.log import Recorded, UnreadableEvent
from infrastructure.log.event_codec import decode
from infrastructure.postgres.connection import AnyConnection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("event_log")

LAST: Final = 2**63 - 1
"""The greatest position that is possible, and the greatest version."""


class Fetched(Iterable[Recorded]):
    """Events as the database sent them. They are decoded during iteration, so that they need not all be in memory at once.

    Iteration raises `UnreadableEvent`, with the position of the first unreadable event.
    """

    def __init__(self, rows: Sequence[TupleRow]) -> None:
        self._rows = rows

    @override
    def __iter__(self) -> Iterator[Recorded]:
        for position, stream, version, topic, state, sealed_actor, key in self._rows:
            try:
                event = decode(stream, version, topic, state, sealed_actor, key)
            except UnreadableEvent as error:
                error.position = position
                raise
            yield Recorded(position, event)


class Chunk(NamedTuple):
    """A part of the log after a position. Reading goes on after `position`. `more`: the log has events after it."""

    events: Fetched
    position: int
    more: bool


async def fetch_after(connection: AnyConnection, position: int, limit: int, up_to: int = LAST) -> Chunk:
    """The first `limit` events after a position. No event after `up_to` is read, as if the log ended there."""
    # Reads one event more than asked for, to see whether there is more.
    found = await _rows(connection, "after", [position, up_to, limit + 1])
    rows = found[:limit]
    return Chunk(Fetched(rows), rows[-1][0] if rows else position, len(found) > limit)


async def read_after(connection: AnyConnection, position: int, limit: int, up_to: int = LAST) -> list[Recorded]:
    """The same events in a list. Raises `UnreadableEvent`, with the position of the first unreadable event."""
    return [*(await fetch_after(connection, position, limit, up_to)).events]


async def read_at(connection: AnyConnection, positions: Sequence[int]) -> list[Recorded]:
    """The events at these positions, in that order. It leaves out a position without an event. Raises `UnreadableEvent`."""
    found = Fetched(await _rows(connection, "at", [[*positions]]))
    events = {recorded.position: recorded for recorded in found}
    return [events[position] for position in positions if position in events]


async def end_of_log(connection: AnyConnection) -> int:
    """The last position; 0 if the log is empty."""
    [(position,)] = await _rows(connection, "end", [])
    return int(position)


async def _rows(connection: AnyConnection, name: str, parameters: list[Any]) -> list[TupleRow]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_QUERIES[name], parameters, prepare=False)
        return await cursor.fetchall()
