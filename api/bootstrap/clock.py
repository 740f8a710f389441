"""The real time, which is the database's. Whatever needs it is handed it, so that a test can hand over another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from domain.errors import ServiceError
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import DatabaseClock


async def clock_of(database: Database) -> DatabaseClock:
    """For a command: measured once. Raises `Unavailable`."""
    clock = DatabaseClock()
    await clock.measure(database)
    return clock


@asynccontextmanager
async def held(clock: DatabaseClock, database: Database) -> AsyncIterator[None]:
    """For a service: measured before it begins, if the database is there, and then again and again."""
    with suppress(ServiceError, psycopg.Error):
        await clock.measure(database)
    following = asyncio.create_task(clock.follow(database), name="clock")
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
