"""Watches the standby that takes reads: how far it is behind the primary, and whether it may answer."""

import asyncio
from collections import deque
from typing import Final

import psycopg
import structlog
from typing_extensions import override

from domain.errors import ServiceError
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import steady
from infrastructure.postgres.read_database import ReplicaState
from infrastructure.postgres.wal import AGAIN, Mark, ReplicaBehind, Standing, mark_of, standing_of

EVERY: Final = 1.0
"""The longest time, in seconds, between two measurements. With a small limit they are more frequent."""

WITHIN: Final = 1.0
"""Seconds in which a server must answer a measurement."""

log = structlog.get_logger("read_replica")


class ReadReplica(ReplicaState):
    """`limit`: seconds by which an answer of the standby may be older than one of the primary.

    The primary is asked regularly for its place in the WAL, and the places of the last `limit` seconds are kept. A standby that has
    replayed the oldest of them has everything that was committed before that time, so it is at most `limit` seconds behind. No clock of the
    servers is compared, and an idle primary looks like what it is: its place does not move.
    """

    def __init__(self, primary: Database, standby: Database, limit: float) -> None:
        self._primary = primary
        self._standby = standby
        self._limit = limit
        self._every = min(EVERY, limit / 4)
        self._marks: deque[Mark] = deque()
        self._had: float | None = None
        """The time before which everything that was committed is known to be on the standby."""
        self._lag: float | None = None
        self._fault: str | None = "it was not asked yet"
        self._told = False

    @property
    @override
    def limit(self) -> float:
        return self._limit

    @property
    @override
    def usable(self) -> bool:
        """Whether the standby is worth asking. `verify` decides for each read."""
        return self._fault is None

    @property
    def lag(self) -> float | None:
        """Seconds by which the standby was behind when it was last measured, or for which it has got nothing. None if unknown."""
        if self._lag is not None:
            return self._lag
        return None if self._had is None else steady() - self._had

    @override
    async def verify(self, connection: Connection) -> None:
        """Raises `ReplicaBehind` if the server of this connection lacks what was committed more than `limit` seconds ago.

        The server itself is asked, because a URL can lead to several standbys.
        """
        self._forget()
        if not self._marks:
            raise ReplicaBehind("the primary could not be asked lately how far it is")
        mark = self._marks[0]
        if wrong := (await standing_of(connection)).shortfall(mark):
            raise ReplicaBehind(wrong)

    async def follow(self) -> None:
        """Measures again and again, without end."""
        while True:
            await self.measure()
            await asyncio.sleep(self._every)

    async def measure(self) -> None:
        try:
            mark = await self._primary.read_within(WITHIN, mark_of)
        except (ServiceError, psycopg.Error):
            self._forget()
            if not self._marks:
                self._note("the primary can't be asked how far it is")
            return
        self._forget()
        self._marks.append(mark)
        try:
            self._judge(mark, await self._reached(mark))
        except (ServiceError, psycopg.Error, OSError) as error:
            self._lag = None
            self._note(" ".join(str(error).split()))

    async def _reached(self, mark: Mark) -> Standing:
        """Where the standby is when it has the mark, or when it is time for the next one."""
        while True:
            standing = await self._standby.read_within(WITHIN, standing_of)
            if standing.has(mark) or standing.fault(mark) or steady() - mark.at > self._every:
                return standing
            await asyncio.sleep(AGAIN)

    def _judge(self, mark: Mark, standing: Standing) -> None:
        self._lag = None
        if wrong := standing.fault(mark):
            self._note(wrong)
            return
        self._had = max((one.at for one in self._marks if standing.has(one)), default=self._had)
        if standing.has(mark):
            self._lag = steady() - mark.at
        lag = self.lag
        if lag is None or lag > self._limit:
            behind = (
                "it has yet to replay all that the primary had at first" if lag is None else f"it is {lag:.1f} s behind"
            )
            self._note(f"{behind}, and READ_LAG_LIMIT is {self._limit:g} s")
        elif self.usable or lag <= self._limit / 2:
            # Not as soon as it is within the limit: a lag that is about as long as the limit would make a line each second.
            self._note(None)

    def _note(self, fault: str | None) -> None:
        if fault is None and not self.usable:
            if self._told:
                log.warning("the read replica is used again", lag_seconds=self._shown_lag())
            else:
                log.info("the read replica is used", lag_seconds=self._shown_lag())
        elif fault is not None and (self.usable or not self._told):
            self._told = True
            log.warning("the read replica is not used: the primary is read instead", reason=fault)
        self._fault = fault

    def _shown_lag(self) -> float | None:
        return None if self.lag is None else round(self.lag, 3)

    def _forget(self) -> None:
        """Drop the marks that are older than the limit."""
        oldest = steady() - self._limit
        while self._marks and self._marks[0].at < oldest:
            self._marks.popleft()
