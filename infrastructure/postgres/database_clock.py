"""The time, checked against the database's clock: a machine with a wrong clock must not date what it records."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import psycopg
import structlog
from ulid_transform import ulid_at_time

from domain.errors import ServiceError
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

BOUND: Final = 1.0
"""Seconds. If the machine's clock differs from the database's by less, it is used. Synchronized clocks differ by less."""

EVERY: Final = 10.0
"""Seconds between two measurements."""

SOON: Final = 1.0
"""Seconds before the next measurement, after one that failed."""

WITHIN: Final = 1.0
"""Seconds in which the database must answer. After a longer wait it is too uncertain when it answered."""

log = structlog.get_logger("clock")


_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds of a clock that can't be set. It goes on while the machine is suspended, if the system has such a clock."""
    return time.clock_gettime(_STEADY)


class Measurement(NamedTuple):
    """The database's time in seconds since the epoch, and the steady clock before and after the question."""

    database: float
    before: float
    after: float


class DatabaseClock:
    """The machine's clock while it is within `BOUND` of the database's; otherwise the database's.

    The database is asked regularly. In between, a clock that can't be set carries its time on, so that setting the machine's clock has no
    effect either. Before the first answer, the machine's clock is used.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._query = queries("clock")["now"]
        self._epoch: float | None = None
        """The database's time when the steady clock was at 0."""
        self._wrong = False

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Seconds since the epoch."""
        wall, epoch = self._wall(), self._epoch
        if epoch is None:
            return wall
        database = epoch + time.clock_gettime(_STEADY)
        return wall if -BOUND <= wall - database <= BOUND else database

    def ulid(self) -> str:
        """A new ULID. It begins with the time."""
        return ulid_at_time(self.seconds())

    def offset(self) -> float | None:
        """Seconds by which the machine's clock is ahead of the database's. None before the first measurement."""
        return None if self._epoch is None else self._wall() - self._epoch - steady()

    async def measure(self, database: Database) -> None:
        """Ask the database for its time. Raises `Unavailable`."""

        async def ask(connection: Connection) -> Measurement:
            before = steady()
            [(seconds,)] = await connection.rows(self._query)
            return Measurement(seconds, before, steady())

        self.hold_to(await database.read_within(WITHIN, ask))

    def measure_blocking(self, connection: psycopg.Connection) -> None:
        """The same for code without an event loop."""
        before = steady()
        [(seconds,)] = connection.execute(self._query).fetchall()
        self.hold_to(Measurement(seconds, before, steady()))

    def hold_to(self, measured: Measurement) -> None:
        """Use this measurement from now on. It assumes that the question and the answer took equally long."""
        self._epoch = measured.database - (measured.before + measured.after) / 2
        offset = self._wall() - self._epoch - steady()
        wrong = abs(offset) > BOUND
        if wrong and not self._wrong:
            log.warning(
                "the machine's clock is wrong: events are dated by the database's",
                seconds_ahead=round(offset, 1),
                remedy="synchronize the clocks of both machines",
            )
        elif self._wrong and not wrong:
            log.info("the machine's clock is right again", seconds_ahead=round(offset, 3))
        self._wrong = wrong

    async def follow(self, database: Database) -> None:
        """Measures again and again, without end."""
        while True:
            try:
                await self.measure(database)
                pause = EVERY
            except (ServiceError, psycopg.Error):  # the database is unavailable, which other components report
                pause = SOON
            await asyncio.sleep(pause)
