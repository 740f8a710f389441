"""The log, read in its order."""

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
    events = []
    for its_position, *stored in await _rows(connection, "after", [position, limit]):
        try:
            events.append(Recorded(its_position, decode(*stored)))
        except UnreadableEvent as error:
            error.position = its_position
            raise
    return events


async def end_of_log(connection: Connection) -> int:
    """The last position; 0 where nothing was ever recorded."""
    [(position,)] = await _rows(connection, "end", [])
    return int(position)


async def _rows(connection: Connection, name: str, parameters: list[Any]) -> list[TupleRow]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_QUERIES[name], parameters, prepare=False)
        return await cursor.fetchall()
