"""The catalogue's stream in PostgreSQL: in order with all that is appended, once, and counted against the choices."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from application.publishing import Unchosen
from infrastructure.log.catalogues import PostgresCatalogues
from tests.support.catalogues import catalogue, choose, publish, published
from tests.support.events import NOON
from tests.support.patient_database import patient_database

FIRST = published(catalogue(1, news=True))
SECOND = published(catalogue(2, news=False), NOON + timedelta(hours=1))


@pytest.fixture
async def catalogues(database_url: str) -> AsyncIterator[PostgresCatalogues]:
    async with patient_database(database_url) as database:
        yield PostgresCatalogues(database)


async def test_what_was_published_is_read_in_its_order(catalogues) -> None:
    assert (await catalogues.published()).events == []
    assert await catalogues.append(FIRST, follows=None)
    assert await catalogues.append(SECOND, follows=FIRST)
    assert (await catalogues.published()).events == [FIRST, SECOND]


async def test_what_follows_another_one_than_the_newest_is_not_recorded(catalogues) -> None:
    assert not await catalogues.append(SECOND, follows=FIRST)
    assert await catalogues.append(SECOND, follows=None)
    assert not await catalogues.append(FIRST, follows=None)
    assert (await catalogues.published()).events == [SECOND]


async def test_of_many_at_once_one_publishes(catalogues, database_url: str) -> None:
    await asyncio.gather(*(publish(database_url, catalogue(1, news=True)) for _ in range(6)))
    assert len((await catalogues.published()).events) == 1


async def test_who_publishes_waits_for_the_lock_of_the_log(catalogues, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as holder:
        await holder.execute("SELECT pg_advisory_xact_lock(7305114882901)")
        publishing = asyncio.create_task(catalogues.append(FIRST, follows=None))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher:
            await until(lambda: count(watcher, waiting))
        # Somebody publishes before us, after we had looked.
        await holder.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, 2, %s, '{}')",
            [SECOND.originator_id, SECOND.TOPIC],
        )
        await holder.commit()
        assert not await publishing


async def until(holds) -> None:
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 - nobody is told when somebody begins to wait for a lock
            await asyncio.sleep(0.01)


async def count(connection, statement: str) -> int:
    [(found,)] = await (await connection.execute(statement)).fetchall()
    return found


async def test_choices_are_counted_for_each_toggle_and_for_any_of_them(catalogues, database_url: str) -> None:
    choices = [
        '{"email.news": true, "email.digest": false}',
        '{"email.news": false}',
        '{"email.digest": false}',
        '{"email.fax": true}',
        "{}",
    ]
    paths = ["email.news", "email.digest"]
    assert await catalogues.unchosen(paths) == Unchosen(0, dict.fromkeys(paths, 0), 0)
    choose(database_url, *choices)
    assert await catalogues.unchosen(paths) == Unchosen(5, {"email.news": 3, "email.digest": 3}, 4)
    assert await catalogues.unchosen([]) == Unchosen(5, {}, 0)
