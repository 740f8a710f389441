"""The shadow table, in which a rebuild makes the read model again, in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, LiteralString, Self
from uuid import UUID

import psycopg
from psycopg import IsolationLevel, errors
from psycopg.rows import TupleRow
from typing_extensions import override

from application.log import BrokenStream
from application.rebuild import Comparison, Folded, Shadow, TableInUse
from domain.errors import Unavailable
from domain.events import PreferencesOpened
from infrastructure.log.event_codec import decode
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.session import Session, connect
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("event_log") | queries("rebuild")

_SESSION: Final = Session(
    application="preferences rebuild",
    settings={
        "jit": "off",
        # Large enough to sort one stretch of the log in memory, so that the sort writes nothing to disk.
        "work_mem": "128MB",
        "hash_mem_multiplier": "1",
        # Each stream must be looked up in the shadow by its index. If the plan is made while the table has few rows, PostgreSQL would
        # choose a scan, and that scan grows with the rows that the other connection adds.
        "enable_seqscan": "off",
        # A session that waits for a table lock blocks every session behind it, so a rebuild never waits long.
        "lock_timeout": "200ms",
    },
)


class ShadowTable(Shadow):
    """Uses connections of its own, one for each part. A rebuild keeps them from beginning to end."""

    parts = 2

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections
        self._connection = connections[0]

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Raises `Unavailable` if another rebuild is running, `TableInUse` if another session holds the table that an earlier rebuild
        left.
        """
        async with AsyncExitStack() as opened:
            connections = [await opened.enter_async_context(await connect(url, _SESSION)) for _ in range(cls.parts)]
            shadow = cls(connections)
            if not (await shadow._one("guard"))[0]:
                raise Unavailable("another rebuild is under way")
            try:
                await shadow._connection.execute(_QUERIES["create_shadow"])
            except errors.LockNotAvailable as error:
                raise await shadow._in_use() from error
            try:
                yield shadow
            finally:
                if not shadow._connection.closed:
                    # If another session holds the table, it stays, and the next rebuild drops it.
                    with suppress(errors.LockNotAvailable):
                        await shadow._connection.execute("DROP TABLE IF EXISTS current_preferences_rebuild")

    @override
    async def end(self) -> int:
        return int((await self._one("end"))[0])

    @override
    async def about(self) -> int:
        return int((await self._one("about"))[0])

    @override
    async def before_next(self, position: int) -> int:
        cursor = await self._connection.execute(_QUERIES["before_next"], [position], prepare=False)
        [(before,)] = await cursor.fetchall()
        return int(before)

    @override
    async def fold(self, after: int, up_to: int, part: int) -> Folded:
        return await self._fold(self._connections[part], after, up_to, part, self.parts)

    @override
    async def fold_rest(self, after: int, up_to: int) -> Folded:
        return await self._fold(self._connection, after, up_to, 0, 1)

    @override
    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[int]:
        # One snapshot for the log and the live table. Both change in one transaction, so they agree in the snapshot. The comparison is
        # exact without stopping any writer.
        await self._connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        async with self._connection.transaction():
            yield await self.end()
        await self._connection.set_isolation_level(None)

    @override
    @asynccontextmanager
    async def swap(self) -> AsyncIterator[int]:
        try:
            async with self._connection.transaction():
                # A process that is suspended here, for example by a shell, must not block all writers.
                await self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
                await self._one("hold_appends")
                await self._connection.execute(_QUERIES["hold_tables"])
                yield await self.end()
                await self._connection.execute(_QUERIES["swap"])
        except errors.LockNotAvailable as error:
            raise await self._in_use() from error

    @override
    async def compare(self) -> Comparison:
        await self._connection.execute("SET LOCAL enable_seqscan = on")  # the comparison needs all rows of both tables
        live, rebuilt = await self._one("checksum")
        if live == rebuilt:
            return Comparison(live, rebuilt, 0, [])
        cursor = await self._connection.execute(_QUERIES["differences"])
        rows = await cursor.fetchall()
        sentences = [
            f"{_whose(stream, *first)}: live version {live_version} {live_choices}, "
            f"the log says version {version} {choices}"
            for stream, live_version, live_choices, version, choices, *first, _ in rows
        ]
        return Comparison(live, rebuilt, rows[0][-1] if rows else 0, sentences)

    async def _fold(self, connection: Connection, after: int, up_to: int, part: int, parts: int) -> Folded:
        stretch = {"after": after, "up_to": up_to, "part": part, "parts": parts}
        # Not prepared, and with its parameters in the text, because the planner must know how long the stretch is.
        async with psycopg.AsyncClientCursor(connection) as cursor:
            await cursor.execute(_QUERIES["fold"], stretch)
            row = await cursor.fetchone()
        assert row is not None
        events, opened, broken = row
        if broken is not None:
            raise BrokenStream(f"stream {broken} has a gap between positions {after} and {up_to}")
        return Folded(events, opened)

    async def _in_use(self) -> TableInUse:
        (holders,) = await self._one("in_use")
        return TableInUse(
            f"the preferences are held by {holders or 'others, time and again'}; nothing was changed, try again later"
        )

    async def _one(self, name: str) -> TupleRow:
        row = await (await self._connection.execute(_QUERIES[name])).fetchone()
        assert row is not None
        return row


def _whose(stream: UUID, topic: str | None, state: bytes, sealed_actor: bytes, key: bytes | None) -> str:
    """The user and the organization that a stream belongs to, if its first event says so."""
    if topic != PreferencesOpened.TOPIC:
        return f"stream {stream}"
    first = decode(stream, 1, topic, state, sealed_actor, key)
    assert isinstance(first, PreferencesOpened)
    return f"{first.actor['user']} of {first.organization or 'no organization'}"
