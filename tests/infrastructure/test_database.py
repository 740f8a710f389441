"""The pool of connections: one is kept at hand, and nobody waits because of that."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from domain.errors import Unavailable
from infrastructure import database as module
from infrastructure.database import Database

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


async def test_a_connection_that_died_at_hand_is_replaced(database, database_url: str) -> None:
    first = await pid(database)
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 1000)", [first])
    assert await pid(database) != first


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
