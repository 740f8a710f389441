"""The end of the log as far as synchronous standbys have it.

A commit waits for its standby before it is visible. But the wait can be cancelled, and a primary that restarts after a crash shows what it
has committed without a wait. Such an event is lost if a standby is promoted then. So readers who hand events on stop at the replicated end.
"""

import asyncio
import time
from collections import deque
from time import monotonic
from typing import Final, LiteralString, NamedTuple

import structlog
from psycopg.rows import TupleRow

from application.log import Replication
from domain.errors import Unavailable
from infrastructure.postgres.connection import AnyConnection, BlockingConnection, ReadOnly
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("replication")

FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.1
"""Seconds between two looks at what the standbys have. The first pause is about as long as a standby takes, and each is twice as long as
the one before."""

REMEMBERED: Final = 64
"""Ends of the log that wait to be confirmed, at most."""

STUCK_AFTER: Final = 3.0
"""Seconds without a confirmation after which the log of the process says so."""

log = structlog.get_logger("replication")


class Look(NamedTuple):
    """What one statement saw. `written` and `replicated` count the bytes of the WAL: those on the server's disk when the log ended at
    `end`, and those that enough standbys have; None if too few are connected, or if the role may not see them.
    """

    server: str
    end: int
    written: int
    replicated: int | None

    @classmethod
    def of(cls, row: TupleRow | None) -> "Look":
        """Raises `ReadOnly` if a standby has answered."""
        assert row is not None
        server, end, written, replicated = row
        if written is None:
            raise ReadOnly(
                "the database refuses writes: it is a standby, which doesn't know what others have confirmed"
            )
        return cls(server, end, written, replicated)


class ReplicatedEnd:
    """One for a process, or for one of its readers. It may look through many connections: what it knows belongs to one run of one server,
    and it begins anew when a look comes from another one.
    """

    def __init__(self) -> None:
        self.position = 0
        """Readers may go up to here."""
        self._server = ""
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._moved_at = monotonic()
        self._told = False

    @property
    def known(self) -> bool:
        """Whether anything was confirmed since this began to look at its present server. An empty log is known."""
        return self.position > 0 or not self._unconfirmed

    async def look(self, connection: AnyConnection) -> int:
        """Look once. Returns the end of the log, replicated or not. Raises `ReadOnly`."""
        cursor = await connection.execute(_QUERIES["look"], prepare=False)
        look = Look.of(await cursor.fetchone())
        self.take(look)
        return look.end

    async def until(self, connection: AnyConnection, position: int, within: float) -> int:
        """Wait `within` so many seconds for the standbys to have the log up to `position`. Returns the replicated end."""
        deadline, pause = monotonic() + within, FIRST_PAUSE
        while self.position < position and (left := deadline - monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE)
            await self.look(connection)
        return self.position

    async def beyond(self, connection: AnyConnection, position: int, within: float) -> int:
        """The replicated end. If the log goes on after `position`, wait `within` so many seconds until that is so of the replicated log."""
        if await self.look(connection) <= position:
            return self.position
        return await self.until(connection, position + 1, within)

    def take(self, look: Look) -> None:
        if look.server != self._server:
            self.position, self._server, self._moved_at = 0, look.server, monotonic()
            self._unconfirmed.clear()
        if look.end > (self._unconfirmed[-1][0] if self._unconfirmed else self.position):
            if not self._unconfirmed:
                self._moved_at = monotonic()
            if len(self._unconfirmed) == REMEMBERED:
                self._unconfirmed.pop()
            self._unconfirmed.append((look.end, look.written))
        while self._unconfirmed and look.replicated is not None and look.replicated >= self._unconfirmed[0][1]:
            self.position, _ = self._unconfirmed.popleft()
            self._moved_at = monotonic()
        self._tell(look)

    def _tell(self, look: Look) -> None:
        """Say once that nothing is confirmed any more, and once that it is again."""
        stuck = bool(self._unconfirmed) and monotonic() - self._moved_at > STUCK_AFTER
        if stuck and not self._told:
            reason = (
                "too few synchronous standbys are connected" if look.replicated is None else "the standbys are behind"
            )
            log.warning(
                "the end of the log is not confirmed by standbys: readers wait",
                reason=reason,
                confirmed=self.position,
                end=look.end,
            )
        elif self._told and not stuck:
            log.info("the standbys confirm the log again", confirmed=self.position)
        self._told = stuck


async def replication(database: Database) -> Replication:
    """Raises `Unavailable`."""
    [row] = await database.fetch_in_time(_QUERIES["status"], prepare=False)
    return Replication(*row)


def replicated_end(connection: BlockingConnection, within: float) -> int:
    """The end of the log as it is now, once the standbys have it. Raises `Unavailable` if that takes longer than `within` seconds."""
    deadline, pause = monotonic() + within, FIRST_PAUSE
    confirmed = ReplicatedEnd()
    goal: int | None = None
    while True:
        look = Look.of(connection.execute(_QUERIES["look"], prepare=False).fetchone())
        confirmed.take(look)
        goal = look.end if goal is None else goal
        if confirmed.position >= goal:
            return confirmed.position
        if monotonic() > deadline:
            raise Unavailable(f"no standby has confirmed the log up to position {goal} within {within:g} s")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
