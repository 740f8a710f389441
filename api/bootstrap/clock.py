"""The real clock, which is the database's. It is passed to the code that needs it, so a test can pass another one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from api.operations.background import running
from domain.errors import ServiceError
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import DatabaseClock


async def clock_of(database: Database) -> DatabaseClock:
    """The clock for a command. It is measured once. Raises `Unavailable`."""
    clock = DatabaseClock()
    await clock.measure(database)
    return clock


@asynccontextmanager
async def kept_in_step(clock: DatabaseClock, database: Database) -> AsyncIterator[None]:
    """The clock for a service. It is measured at the start, if the database can be reached, and then regularly."""
    with suppress(ServiceError, psycopg.Error):
        await clock.measure(database)
    async with running(clock.follow(database), "clock"):
        yield
