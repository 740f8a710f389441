"""A server that is there and doesn't answer, its own time limits included: nobody waits for it longer than one can."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

import pytest
from structlog.testing import capture_logs

from application.feed.feed import EVERYTHING, Selection
from application.preferences.store import Append, OutcomeUnknown
from infrastructure.decisions import stream_states as stream_states
from infrastructure.decisions.stream_states import PostgresStreamStates
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.feed.log_watch import PostgresLogWatch
from infrastructure.postgres.connection import NoAnswer
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.preferences import event_store
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.events import ADA, opened, row_after
from tests.support.processes import freeze, thaw

FIRST = Append(0, [opened()], row_after(None, opened()), opens_key=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=1, patience=0.3) as database:
        yield database


@asynccontextmanager
async def frozen(database: Database) -> AsyncIterator[None]:
    """The backend of the one connection stands still; others don't."""
    [(pid,)] = await database.fetch("SELECT pg_backend_pid()")
    pids = freeze(pid)
    try:
        async with asyncio.timeout(5):
            yield
    finally:
        thaw(pids)


async def backends(database: Database, number: int) -> list[int]:
    """So many connections, one of them at hand and the others in the pool; the backends, that of the one at hand first."""
    async with AsyncExitStack() as taken:
        connections = [await taken.enter_async_context(database.connection()) for _ in range(number)]
        pids = [connection.info.backend_pid for connection in connections]
    [(at_hand,)] = await database.fetch("SELECT pg_backend_pid()")
    return sorted(pids, key=lambda pid: pid != at_hand)


async def test_when_a_connection_is_dead_nobody_waits_for_another_one_that_stands_still(database_url: str) -> None:
    # Given a pool of several connections, of which the one at hand is dead, and another one's backend is frozen
    async with Database(database_url, size=3) as database, Database(database_url, size=1) as other:
        at_hand, *idle = await backends(database, 3)
        await other.fetch("SELECT pg_terminate_backend(%s, 2000)", [at_hand])
        pids = freeze(idle[-1])
        try:
            async with asyncio.timeout(3):
                # then who reads is served by a new one, and so are those who come next.
                for _ in range(4):
                    assert (await database.fetch_in_time("SELECT pg_backend_pid()"))[0][0] not in (at_hand, *idle)
        finally:
            thaw(pids)


async def test_who_reads_preferences_hears_in_time_and_is_served_on_the_next_connection(database: Database) -> None:
    store = PostgresPreferencesStore(database)
    async with frozen(database):
        with pytest.raises(NoAnswer):
            await store.load([ADA])
        assert await store.load([ADA]) == {}


async def test_who_changes_them_hears_that_nobody_knows_what_became_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "ANSWERED_WITHIN", 0.3)
    store = PostgresPreferencesStore(database)
    async with frozen(database):
        with pytest.raises(OutcomeUnknown):
            await store.append([FIRST])
        assert await store.recorded(FIRST.events) == set()


@pytest.mark.parametrize("streams", [1, 500])
async def test_who_asks_whether_to_send_hears_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch, streams: int
) -> None:
    monkeypatch.setattr(stream_states, "PATIENCE_FOR_MANY", 0.3)
    store = PostgresStreamStates(database)
    async with frozen(database):
        with pytest.raises(NoAnswer):
            await store.stream_states([bytes(16)] * streams, "email.news", with_end=True)
        assert (await store.stream_states([bytes(16)] * streams, "email.news", with_end=True)).end == 0


@pytest.mark.parametrize("selection", [EVERYTHING, Selection(organization="org_math"), Selection(toggle="news")])
async def test_who_reads_the_feed_hears_in_time_and_keeps_no_connection_from_the_others(
    database: Database, selection: Selection
) -> None:
    feed = PostgresEventFeed(ReadDatabase(database), within=0.3)
    async with frozen(database):
        with pytest.raises(NoAnswer):
            await feed.read(0, 10, selection)
        assert await feed.end() == 0
    async with frozen(database):
        with pytest.raises(NoAnswer):
            await feed.end()
        assert [*(await feed.read(0, 10, selection)).events] == []


async def test_a_deadline_of_a_block_holds_for_each_of_its_statements_and_for_nothing_else(database: Database) -> None:
    async with database.connection() as connection:
        with connection.answering_by(monotonic() + 0.3):
            await connection.rows("SELECT 1", deadline=monotonic() + 5)
            with pytest.raises(NoAnswer):
                await connection.rows("SELECT pg_sleep(2)")
    async with database.connection() as connection:
        with connection.answering_by(monotonic() + 0.3):
            await connection.rows("SELECT 1")
        assert await connection.rows("SELECT 1 FROM pg_sleep(0.5)") == [(1,)]


async def test_who_watches_the_log_hears_in_time_and_it_is_logged(database: Database, database_url: str) -> None:
    async def watch_until_it_stands_still() -> None:
        async with asyncio.timeout(5), PostgresLogWatch.open(database_url, "watcher", within=0.3) as watch:
            assert await watch.read_after(0, 10) == []
            [(pid,)] = await database.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = 'watcher'")
            pids = freeze(pid)
            try:
                await watch.read_after(0, 10)
            finally:
                thaw(pids)

    with capture_logs() as logged, pytest.raises(NoAnswer):
        await watch_until_it_stands_still()
    assert [(line["event"], line["log_level"]) for line in logged] == [("the log can't be watched", "warning")]
