"""The pool of connections: one is kept at hand, and nobody waits because of that."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import errors

from domain.errors import Unavailable
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres import database as module
from infrastructure.postgres.connection import Connection, ConnectionLost, translated
from infrastructure.postgres.database import Database
from infrastructure.postgres.pool_figures import PoolFigures
from infrastructure.preferences.shadow_table import ShadowTable

PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=1, application="test_database") as database:
        yield database


async def pid(database: Database) -> int:
    [(pid,)] = await database.fetch(PID)
    return pid


def connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test_database'"
        return connection.execute(query).fetchone()[0]


def trips_through_the_pool(database: Database) -> int:
    return database._pool.get_stats()["requests_num"]


async def test_who_waits_is_next_though_one_is_kept_at_hand(database) -> None:
    first = await pid(database)
    async with database.connection():
        waiting = [asyncio.create_task(pid(database)) for _ in range(5)]
        await asyncio.sleep(0.05)
    # Nobody who comes later gets ahead of them.
    assert not any(task.done() for task in waiting)
    later = asyncio.create_task(pid(database))
    done, _ = await asyncio.wait({*waiting, later}, return_when=asyncio.FIRST_COMPLETED)
    assert later not in done
    assert {*await asyncio.gather(*waiting, later)} == {first}


async def test_a_pool_tells_how_busy_it_is(database) -> None:
    await pid(database)
    assert database.figures == PoolFigures(used=0, idle=1, most=1, waiting=0, timeouts=0, failures=0)
    async with database.connection():
        waiting = [asyncio.create_task(pid(database)) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert database.figures == PoolFigures(used=1, idle=0, most=1, waiting=5, timeouts=0, failures=0)
        await asyncio.gather(*waiting, return_exceptions=True)
    assert database.figures == PoolFigures(used=0, idle=1, most=1, waiting=0, timeouts=5, failures=0)


async def test_who_is_cancelled_as_its_turn_comes_is_cancelled(database) -> None:
    # Given somebody who waits for a connection
    async with database.connection():
        waiting = asyncio.create_task(pid(database))
        await asyncio.sleep(0.05)
    # when one is free, and it is told to end before it could take that
    waiting.cancel()
    await asyncio.wait([waiting])
    # then it ends, and the connection is the next one's.
    assert waiting.cancelled()
    assert await pid(database)


async def test_a_connection_that_died_at_hand_is_replaced(database, database_url: str) -> None:
    first = await pid(database)
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 1000)", [first])
    assert await pid(database) != first


async def test_what_writes_is_done_once_though_its_answer_was_lost(database) -> None:
    # A sequence remembers what is rolled back.
    await database.execute("CREATE SEQUENCE done")
    done_and_lost = "SELECT nextval('done'), pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(ConnectionLost):
        await database.write(done_and_lost)
    assert await database.fetch("SELECT last_value FROM done") == [(1,)]
    with pytest.raises(ConnectionLost):
        await database.fetch(done_and_lost)
    assert await database.fetch("SELECT last_value FROM done") == [(3,)]
    assert await database.write("SELECT nextval('done')") == [(4,)]


async def test_a_connection_in_a_failed_transaction_is_not_kept(database) -> None:
    async with database.connection() as connection:
        await connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 1 / 0")
    assert await database.fetch("SELECT 1") == [(1,)]


async def test_one_is_kept_at_hand_until_it_is_old(database, monkeypatch) -> None:
    for _ in range(3):
        await pid(database)
    assert trips_through_the_pool(database) == 1
    monkeypatch.setattr(module, "KEPT_FOR", -1.0)
    for _ in range(3):
        await pid(database)
    assert trips_through_the_pool(database) == 3


async def test_an_answer_in_time_or_none(database_url: str) -> None:
    async with Database(database_url, patience=0.2, application="test_database") as database:
        assert await database.fetch_in_time("SELECT 1") == [(1,)]
        with pytest.raises(Unavailable, match="in time"):
            await database.fetch_in_time("SELECT pg_sleep(5)")
        assert await database.fetch_in_time("SELECT 2") == [(2,)]


async def test_nothing_stays_open(database_url: str) -> None:
    async with Database(database_url, application="test_database") as database:
        await asyncio.gather(*(pid(database) for _ in range(4)))
        assert connections(database_url) > 0
    async with asyncio.timeout(5):
        while connections(database_url):  # noqa: ASYNC110 - a backend ends by itself, and tells nobody
            await asyncio.sleep(0.01)


async def test_who_reads_when_all_is_closed_is_told(database_url: str) -> None:
    async with Database(database_url) as database:
        pass
    with pytest.raises(Unavailable, match="are closed"):
        await database.fetch(PID)


async def test_what_is_read_again_is_read_on_a_living_connection(database_url: str) -> None:
    async with Database(database_url, size=2) as database:
        # Given a connection that is reading, another one at hand,
        async with database.connection() as busy:
            reading = await pid(database)
            [(other,)] = await busy.rows(PID)
        first = asyncio.create_task(database.fetch("SELECT pg_sleep(0.5), pg_backend_pid()"))
        await asyncio.sleep(0.1)
        await pid(database)
        # and all of them cut,
        with psycopg.connect(database_url, autocommit=True) as killer:
            for backend in (reading, other):
                killer.execute("SELECT pg_terminate_backend(%s, 1000)", [backend])
        # then what was being read is read all the same.
        [(_, third)] = await first
        assert third not in (reading, other)


async def test_who_finds_out_later_that_an_old_connection_is_dead_gives_up_no_new_one(database_url: str) -> None:
    async with Database(database_url, size=2) as database:
        # Given two connections that are both cut, and somebody who hasn't noticed
        go_on = asyncio.Event()

        async def read(connection: Connection) -> int:
            await go_on.wait()
            [(pid,)] = await connection.rows(PID)
            return int(pid)

        late = asyncio.create_task(database.read(read))
        await asyncio.sleep(0.1)
        await pid(database)
        with psycopg.connect(database_url, autocommit=True) as killer:
            killer.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                " WHERE application_name = 'preferences' AND datname = current_database()"
            )
        # when another one has been given a new connection
        new = await pid(database)
        go_on.set()
        # then that one is kept, and serves both.
        assert await late == await pid(database) == new


async def test_who_lost_a_connection_waits_for_another_one_no_longer_than_for_the_answer(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    async with Database(database_url, size=1, connect_within=20) as database:
        [(name,)] = await database.fetch("SELECT current_database()")
        with psycopg.connect(postgres.url, autocommit=True) as other:
            # Given a connection that is cut, and a database that lets nobody in
            closed = psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(psycopg.sql.Identifier(name))
            other.execute(closed)
            other.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s", [name])
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable, match="no connection to the database within"):
                await database.fetch_in_time("SELECT 1")


async def test_a_backend_that_nobody_waits_for_any_more_ends(database_url: str) -> None:
    async with Database(database_url, patience=0.1, application="test_database") as database:
        with pytest.raises(Unavailable):
            await database.fetch_in_time("SELECT pg_sleep(30)")
        working = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%%'"
        async with asyncio.timeout(8):
            while await database.fetch(working) != [(0,)]:  # noqa: ASYNC110 - a backend ends by itself, and tells nobody
                await asyncio.sleep(0.1)


async def test_statements_see_what_was_committed_before_them_whatever_the_databases_default(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        [name] = connection.execute("SELECT current_database()").fetchone()
        alter = psycopg.sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'")
        connection.execute(alter.format(psycopg.sql.Identifier(name)))
    async with Database(database_url) as database, ShadowTable.open(database_url) as shadow:
        assert await database.fetch("SHOW transaction_isolation") == [("read committed",)]
        async with shadow.swap():
            cursor = await shadow._connection.execute("SHOW transaction_isolation")
            assert await cursor.fetchone() == ("read committed",)


async def test_a_rebuild_that_stands_still_in_its_swap_keeps_the_writers_for_seconds_and_no_longer(
    database_url: str,
) -> None:
    async with ShadowTable.open(database_url) as shadow:
        with pytest.raises(errors.IdleInTransactionSessionTimeout):
            async with shadow.swap():
                time.sleep(5.5)  # noqa: ASYNC251 - everything stands still, as in a shell that was suspended
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM current_preferences").fetchone() == (0,)
        assert connection.execute("SELECT pg_try_advisory_lock(7305114882901)").fetchone() == (True,)


@pytest.mark.parametrize("error", [errors.ConnectionFailure, errors.ProtocolViolation, errors.AdminShutdown])
def test_a_connection_that_was_lost_is_told_as_such_by_whatever_stands_between(error: type[psycopg.Error]) -> None:
    assert isinstance(translated(error("lost")), ConnectionLost)
