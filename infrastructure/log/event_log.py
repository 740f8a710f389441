"""The log, read in its order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg.rows import TupleRow
from typing_extensions import override

from application.ports import Recorded, UnreadableEvent
from infrastructure.log.event_codec import decode
from infrastructure.postgres.sql import queries

Connection = psycopg.AsyncConnection[TupleRow]

_QUERIES: Final[dict[str, LiteralString]] = queries("event_log")


class Fetched(Iterable[Recorded]):
    """Events as the database sent them, decoded while one goes through them, so that nobody has to hold them all.

    Going through them raises `UnreadableEvent`, with the position of the first such one.
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
    """What stands in the log after a position. `position` is the one to go on from; `more`: the log goes on behind it."""

    events: Fetched
    position: int
    more: bool


async def fetch_after(connection: Connection, position: int, limit: int) -> Chunk:
    """The first `limit` events after a position."""
    # One more than is wanted tells whether there is more.
    found = await _rows(connection, "after", [position, limit + 1])
    rows = found[:limit]
    return Chunk(Fetched(rows), rows[-1][0] if rows else position, len(found) > limit)


async def read_after(connection: Connection, position: int, limit: int) -> list[Recorded]:
    """The first `limit` events after a position. Raises `UnreadableEvent`, with the position of the first such one."""
    return [*(await fetch_after(connection, position, limit)).events]


async def read_at(connection: Connection, positions: Sequence[int]) -> list[Recorded]:
    """The events at these positions, in that order; what isn't there is absent. Raises `UnreadableEvent`."""
    found = Fetched(await _rows(connection, "at", [[*positions]]))
    events = {recorded.position: recorded for recorded in found}
    return [events[position] for position in positions if position in events]


async def end_of_log(connection: Connection) -> int:
    """The last position; 0 where nothing was ever recorded."""
    [(position,)] = await _rows(connection, "end", [])
    return int(position)


async def _rows(connection: Connection, name: str, parameters: list[Any]) -> list[TupleRow]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_QUERIES[name], parameters, prepare=False)
        return await cursor.fetchall()
