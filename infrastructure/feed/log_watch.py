"""A connection of its own to the log, which the database notifies when the log grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, Self

import psycopg
import structlog
from typing_extensions import override

from application.feed.feed import Slice, readable
from application.feed.live_tail import LogWatch
from application.log import Cleared
from domain.errors import Unavailable
from domain.isolation import PLATFORM
from infrastructure.log import event_log
from infrastructure.postgres.connection import Connection, translated
from infrastructure.postgres.session import Session, connect
from infrastructure.postgres.wal import Mark, Standing, mark_of, standing_of

CHANNEL: Final = "preferences_log"

LOOK_WITHIN: Final = 5.0
"""Seconds for one read of the log. After that the watcher reads again on another connection."""

log = structlog.get_logger("feed")


class PostgresLogWatch(LogWatch):
    def __init__(self, connection: Connection, within: float) -> None:
        self._connection = connection
        self._within = within

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, application: str, *, within: float = LOOK_WITHIN) -> AsyncIterator[Self]:
        """Raises `Unavailable` now, or later when the connection is lost or has not answered `within` so many seconds.

        The caller goes on without an error, so this logs the reason.
        """
        try:
            async with await _connected(url, application) as connection:
                with connection.answering_by(monotonic() + within):
                    await connection.execute(f"LISTEN {CHANNEL}")
                yield cls(connection, within)
        except (psycopg.Error, Unavailable) as error:
            log.warning("the log can't be watched", reason=str(error))
            raise (translated(error) if isinstance(error, psycopg.Error) else error) from error

    @classmethod
    async def connected(cls, url: str, application: str, *, within: float = LOOK_WITHIN) -> Self:
        """Only for reading, without notifications. The caller has to close it."""
        return cls(await _connected(url, application), within)

    async def close(self) -> None:
        await self._connection.close()

    async def mark(self) -> Mark:
        """The present place of the primary in its WAL."""
        with self._connection.answering_by(monotonic() + self._within):
            return await mark_of(self._connection)

    async def standing(self) -> Standing:
        """The present place of a standby in the WAL."""
        with self._connection.answering_by(monotonic() + self._within):
            return await standing_of(self._connection)

    @override
    async def read_after(self, position: int, limit: int) -> list[Cleared]:
        with self._connection.answering_by(monotonic() + self._within):
            found = await event_log.fetch_after(self._connection, position, limit)
        return readable(Slice(*found), PLATFORM, lambda recorded: recorded).made

    @override
    async def wait(self, seconds: float) -> None:
        async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass


async def _connected(url: str, application: str) -> Connection:
    """A reader can be cancelled at any moment. Cancelled while it connects, it would leave behind a connection that stays open until the
    garbage collector finds it. So connecting goes on in the background, and the connection is then closed.
    """
    connecting = asyncio.create_task(connect(url, Session(application=application, connect_within=5)))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close)
        raise


def _close(connecting: asyncio.Task[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().pgconn.finish()
