"""The log and a follower's position in it, read and written on the follower's own connection."""

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, LiteralString

import psycopg
import structlog
from psycopg.rows import TupleRow
from typing_extensions import override

from application.followers import FollowerState, Journal, Stretch
from application.log import Recorded, UnreadableEvent
from infrastructure.log.event_codec import TYPES
from infrastructure.log.event_log import read_after
from infrastructure.postgres.connection import ConnectionLost, translated
from infrastructure.postgres.sql import queries

Connection = psycopg.AsyncConnection[TupleRow]

_QUERIES: Final[dict[str, LiteralString]] = queries("followers")

log = structlog.get_logger("followers")


class PostgresJournal(Journal[Connection]):
    """Needs a connection in autocommit mode, and uses it alone."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    async def register(self) -> None:
        await self._run("register")

    async def lead(self) -> bool:
        """Returns whether this connection leads the follower from now on, until it ends."""
        [(leads,)] = await self._run("lead")
        if not leads:
            await self._run("end_stuck")
        return bool(leads)

    @override
    async def state(self) -> FollowerState:
        [row] = await self._run("state")
        return FollowerState(*row)

    @override
    async def read_after(self, position: int, limit: int) -> list[Recorded]:
        with self.translated():
            return await read_after(self._connection, position, limit)

    @override
    async def stretch_after(self, position: int, limit: int) -> Stretch:
        parameters = {"position": position, "limit": limit, "types": [*TYPES]}
        with self.translated():
            cursor = await self._connection.execute(_QUERIES["stretch"], parameters, prepare=False)
            [(up_to, events, unknown)] = await cursor.fetchall()
            if unknown is not None:
                await read_after(self._connection, unknown - 1, 1)
        return Stretch(position, up_to or position, events)

    @override
    @asynccontextmanager
    async def move(self, position: int, to: int) -> AsyncIterator[Connection | None]:
        with self.translated():
            async with self._connection.transaction():
                moved = await self._run("move", position=position, to=to)
                yield self._connection if moved else None

    @override
    async def stop(self, position: int, failed_position: int, error: Exception) -> None:
        failure = describe(error)
        if await self._run("stop", position=position, failed_position=failed_position, failure=failure):
            log.error("follower stopped", follower=self._name, position=failed_position, failure=failure)

    async def _run(self, name: str, **parameters: object) -> list[TupleRow]:
        with self.translated():
            cursor = await self._connection.execute(_QUERIES[name], {"name": self._name, **parameters})
            return await cursor.fetchall() if cursor.description else []

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self._connection.closed:
                raise ConnectionLost(f"the connection to the database was lost: {error}") from error
            raise translated(error) from error


def describe(error: Exception) -> str:
    """The kind of error, and its place in the code. It leaves out the error's own text, which may quote data that a caller has sent."""
    if isinstance(error, UnreadableEvent):
        return str(error)
    state = f" {error.sqlstate}" if isinstance(error, psycopg.Error) and error.sqlstate else ""
    frames = traceback.extract_tb(error.__traceback__)
    where = [
        f" in {Path(frame.filename).name}, line {frame.lineno} ({frame.name})"
        for frame in frames
        if "site-packages" not in frame.filename
    ]
    return f"{type(error).__name__}{state}{where[-1] if where else ''}"
