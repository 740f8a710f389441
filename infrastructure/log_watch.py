"""A connection of its own to the log, that is told when it grows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import psycopg
from typing_extensions import override

from application.live_tail import LogWatch
from application.ports import Recorded
from infrastructure import event_log
from infrastructure.database import translated, with_keepalives

CHANNEL: Final = "preferences_log"


class PostgresLogWatch(LogWatch):
    def __init__(self, connection: event_log.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, application: str) -> AsyncIterator[Self]:
        """Raises `Unavailable` now, or later, when the connection has gone."""
        try:
            connection = await psycopg.AsyncConnection.connect(
                # Nobody else would miss a connection that has died: it is silent most of the time.
                with_keepalives(url),
                autocommit=True,
                application_name=application,
                connect_timeout=5,
                options="-c timezone=UTC",
            )
            async with connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                yield cls(connection)
        except psycopg.Error as error:
            raise translated(error) from error

    @override
    async def read_after(self, position: int, limit: int) -> list[Recorded]:
        return await event_log.read_after(self._connection, position, limit)

    @override
    async def wait(self, seconds: float) -> None:
        async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass
