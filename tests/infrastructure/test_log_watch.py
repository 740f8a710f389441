"""The log, watched on a connection of its own."""

import psycopg
import pytest

from application.ports import UnreadableEvent
from infrastructure.log_watch import PostgresLogWatch
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
