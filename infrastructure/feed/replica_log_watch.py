"""Watches the log on two servers: the primary says that the log has grown, and a standby gives the events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, Self

import psycopg
from typing_extensions import override

from application.feed.live_tail import LogWatch
from application.log import Cleared
from domain.errors import Unavailable
from infrastructure.feed.log_watch import LOOK_WITHIN, PostgresLogWatch
from infrastructure.postgres.read_database import Count, ReplicaState
from infrastructure.postgres.wal import Mark

PATIENCE: Final = 0.1
"""Seconds that the events have to reach the standby. After that, the primary gives them."""

AGAIN: Final = 0.002
"""Seconds between two questions to the standby whether they are there."""

CONNECT_AGAIN: Final = 5.0
"""Seconds after which the standby is tried again when it failed."""


class ReplicaLogWatch(LogWatch):
    """A standby sends no notifications, so they come from the primary. With each one the primary says how far it has written its WAL, and the
    standby is read once it has replayed the WAL up to there. So no event waits for the next notification.
    """

    def __init__(self, primary: PostgresLogWatch, mark: Mark, standby: "_Standby") -> None:
        self._primary = primary
        self._mark = mark
        self._standby = standby

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        standby_url: str,
        application: str,
        state: ReplicaState,
        count: Count,
        *,
        within: float = LOOK_WITHIN,
    ) -> AsyncIterator[Self]:
        """Raises `Unavailable`, as `PostgresLogWatch.open` does, but not because of the standby."""
        async with PostgresLogWatch.open(url, application, within=within) as primary:
            standby = _Standby(standby_url, application, state, count, within)
            try:
                yield cls(primary, await primary.mark(), standby)
            finally:
                await standby.close()

    @override
    async def read_after(self, position: int, limit: int) -> list[Cleared]:
        found = await self._standby.read_after(position, limit, self._mark)
        return await self._primary.read_after(position, limit) if found is None else found

    @override
    async def wait(self, seconds: float) -> None:
        await self._primary.wait(seconds)
        self._mark = await self._primary.mark()


class _Standby:
    """A connection to the standby, which is made when it is needed, and made again later if it fails."""

    def __init__(self, url: str, application: str, state: ReplicaState, count: Count, within: float) -> None:
        self._url = url
        self._application = application
        self._state = state
        self._count = count
        self._within = within
        self._watch: PostgresLogWatch | None = None
        self._not_before = 0.0
        self._had: Mark | None = None

    async def read_after(self, position: int, limit: int, mark: Mark) -> list[Cleared] | None:
        """None if the standby does not have the mark in time, or can't be asked."""
        found = None
        if self._state.usable and monotonic() >= self._not_before:
            try:
                watch = await self._connected()
                if await self._gets(watch, mark):
                    found = await watch.read_after(position, limit)
            except (psycopg.Error, Unavailable, OSError):
                self._not_before = monotonic() + CONNECT_AGAIN
                await self.close()
        self._count("primary" if found is None else "replica")
        return found

    async def _connected(self) -> PostgresLogWatch:
        if self._watch is None:
            self._watch = await PostgresLogWatch.connected(self._url, self._application, within=self._within)
        return self._watch

    async def _gets(self, watch: PostgresLogWatch, mark: Mark) -> bool:
        if self._had == mark:
            return True
        deadline = monotonic() + PATIENCE
        while (standing := await watch.standing()).shortfall(mark):
            if standing.fault(mark) or monotonic() > deadline:
                return False
            await asyncio.sleep(AGAIN)
        self._had = mark
        return True

    async def close(self) -> None:
        if self._watch is not None:
            watch, self._watch, self._had = self._watch, None, None
            await watch.close()
