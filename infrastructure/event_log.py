"""The log, read in its order."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import TupleRow

from application.ports import Recorded, UnreadableEvent
from infrastructure.event_codec import decode
from infrastructure.sql import queries

Connection = psycopg.AsyncConnection[TupleRow]

_QUERIES: Final[dict[str, LiteralString]] = queries("event_log")


async def read_after(connection: Connection, position: int, limit: int) -> list[Recorded]:
    """The first `limit` events after a position. Raises `UnreadableEvent`, with the position of the first such one."""
    return _decoded(await _rows(connection, "after", [position, limit]))


async def read_at(connection: Connection, positions: Sequence[int]) -> list[Recorded]:
    """The events at these positions, in that order; what isn't there is absent. Raises `UnreadableEvent`."""
    events = {recorded.position: recorded for recorded in _decoded(await _rows(connection, "at", [[*positions]]))}
    return [events[position] for position in positions if position in events]


async def end_of_log(connection: Connection) -> int:
    """The last position; 0 where nothing was ever recorded."""
    [(position,)] = await _rows(connection, "end", [])
    return int(position)


def _decoded(rows: Sequence[TupleRow]) -> list[Recorded]:
    events = []
    for row in rows:
        try:
            events.append(Recorded(row[0], decode(*row[1:])))
        except UnreadableEvent as error:
            error.position = row[0]
            raise
    return events


async def _rows(connection: Connection, name: str, parameters: list[Any]) -> list[TupleRow]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_QUERIES[name], parameters, prepare=False)
        return await cursor.fetchall()
