"""The shadow of the current preferences, in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final, LiteralString, Self, cast

import orjson
import psycopg
from psycopg import IsolationLevel
from psycopg.rows import TupleRow
from typing_extensions import override

from application.rebuild import Comparison, Placed, Shadow
from domain.errors import Unavailable
from domain.events import PreferencesEvent
from infrastructure.event_codec import decode
from infrastructure.sql import queries

CHUNK: Final = 1000
"""Events fetched at once: what bounds the memory of a pass over the log."""


class ShadowTable(Shadow):
    """On a connection of its own, which a rebuild keeps to itself from beginning to end."""

    def __init__(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        self._connection = connection
        self._queries: dict[str, LiteralString] = queries("rebuild")

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Raise `Unavailable` if another rebuild is under way."""
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="preferences rebuild", options="-c timezone=UTC -c work_mem=64MB"
        )
        async with connection:
            shadow = cls(connection)
            if not (await shadow._one("guard"))[0]:
                raise Unavailable("another rebuild is under way")
            await shadow._run("create_shadow")
            try:
                yield shadow
            finally:
                if not connection.closed:
                    await connection.execute("DROP TABLE IF EXISTS current_preferences_rebuild")

    @override
    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[int]:
        # One snapshot for the log and the live table: since both change in one transaction, they agree in it, and
        # nobody has to be stopped for the comparison to be exact.
        await self._connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        async with self._connection.transaction():
            yield (await self._one("end_of_log"))[0]
        await self._connection.set_isolation_level(None)

    @override
    @asynccontextmanager
    async def swap(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            await self._one("hold_writers")
            yield
            await self._run("swap")

    @override
    async def events(self, after: int) -> AsyncIterator[tuple[int, PreferencesEvent]]:
        async with (
            self._connection.transaction(),
            self._connection.cursor("log", binary=True) as cursor,
        ):
            await cursor.execute(self._queries["events"], [after])
            coming = asyncio.ensure_future(cursor.fetchmany(CHUNK))
            while rows := await coming:
                # The next chunk is asked for before this one is worked on, so that both sides work at once.
                coming = asyncio.ensure_future(cursor.fetchmany(CHUNK))
                await asyncio.sleep(0)
                for position, stream, version, topic, state in rows:
                    yield position, cast("PreferencesEvent", decode(stream, version, topic, state))

    @override
    async def write(self, rows: Collection[Placed], *, fresh: bool) -> None:
        if fresh:
            async with self._connection.cursor() as cursor, cursor.copy(self._queries["fill"]) as copy:
                for placed in rows:
                    await copy.write_row(_columns(placed))
        elif rows:
            async with self._connection.cursor() as cursor:
                await cursor.executemany(self._queries["upsert"], [_columns(placed) for placed in rows])

    @override
    async def compare(self) -> Comparison:
        live, rebuilt = await self._one("checksum")
        if live == rebuilt:
            return Comparison(live, rebuilt, 0, [])
        cursor = await self._connection.execute(self._queries["differences"])
        rows = await cursor.fetchall()
        sentences = [
            f"{user} of {organization or 'no organization'}: live version {live_version} {live_choices}, "
            f"the log says version {version} {choices}"
            for organization, user, live_version, live_choices, version, choices, _ in rows
        ]
        return Comparison(live, rebuilt, rows[0][6] if rows else 0, sentences)

    async def _run(self, name: str) -> None:
        await self._connection.execute(self._queries[name])

    async def _one(self, name: str) -> TupleRow:
        row = await (await self._connection.execute(self._queries[name])).fetchone()
        assert row is not None
        return row


def _columns(placed: Placed) -> tuple[object, ...]:
    row = placed.row
    choices = orjson.dumps(row.choices).decode()
    return row.stream, row.organization, row.user, row.version, choices, row.modified_at, placed.position
