"""The log, watched on a connection of its own."""

import asyncio
import gc
from contextlib import suppress

import psycopg
import pytest

from application.log import UnreadableEvent
from infrastructure.feed.log_watch import PostgresLogWatch
from tests.support.filled_log import Chance, put


async def test_what_precedes_an_event_that_can_not_be_read_is_told_before_it_stops_the_reader(
    database_url: str,
) -> None:
    put(database_url, Chance(2).events(10))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE preferences_events SET topic = 'x' WHERE notification_id = 4")
    async with PostgresLogWatch.open(database_url, "watcher") as watch:
        assert [recorded.position for recorded in await watch.read_after(0, 500)] == [1, 2, 3]
        with pytest.raises(UnreadableEvent):
            await watch.read_after(3, 500)


async def test_whoever_stops_watching_at_whatever_moment_leaves_no_connection_behind(database_url: str) -> None:
    async def watch() -> None:
        async with PostgresLogWatch.open(database_url, "passer-by") as log:
            while True:
                await log.read_after(0, 10)

    def left() -> int:
        with psycopg.connect(database_url) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'passer-by'"
            return int(connection.execute(query).fetchall()[0][0])

    # Given nobody who would close by accident what was forgotten
    gc.disable()
    try:
        # when it is stopped at each of many moments, from the first packet to well within a look at the log
        for number in range(80):
            watching = asyncio.create_task(watch())
            await asyncio.sleep(number * 0.00025)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        # then all of its connections are gone soon.
        async with asyncio.timeout(5):
            while await asyncio.to_thread(left):  # noqa: ASYNC110 - other processes have no event for it
                await asyncio.sleep(0.05)
    finally:
        gc.enable()
