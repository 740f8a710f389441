"""The notifications that wake a follower when the log has grown."""

import asyncio
from typing import Final, LiteralString

from infrastructure.postgres.connection import AnyConnection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("followers")


class Notifications:
    """Those that a follower's connection receives. At first it receives none."""

    def __init__(self, connection: AnyConnection) -> None:
        self._connection = connection
        self._heeded = False

    async def heed(self) -> bool:
        """Receive them from now on. Returns whether the connection did so already. If not, the log may have grown meanwhile, without a
        notification.
        """
        if self._heeded:
            return True
        await self._connection.execute(_QUERIES["listen"])
        self._heeded = True
        return False

    async def ignore(self) -> None:
        """Receive no more. Each notification would cost the server a wake-up of the session, even if the follower does not wait for it."""
        if self._heeded:
            await self._connection.execute(_QUERIES["unlisten"])
            self._heeded = False

    async def wait(self, stop: asyncio.Event, seconds: float) -> None:
        """Returns when an event was appended, when `stop` was set, or when the time is over."""
        listening = asyncio.create_task(self._next(seconds))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({listening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            listening.cancel()
            # The next step finds out if the connection broke.
            await asyncio.gather(listening, stopped, return_exceptions=True)

    async def _next(self, seconds: float) -> None:
        async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass
