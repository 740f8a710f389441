"""Followers on a real PostgreSQL: exactly once, in order, one runner at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from infrastructure.followers import FollowerRunner
from tests.support.ledger import TABLE, Ledger, positions, record, written_down


@pytest.fixture
def url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLE)
    return database_url


@asynccontextmanager
async def running(url: str, follower: Any, **options: Any) -> AsyncIterator[FollowerRunner]:
    stop = asyncio.Event()
    runner = FollowerRunner(url, follower, **{"poll": 0.05, "rest": 0, **options})
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def states(url: str) -> dict[str, tuple[int, bool, int | None, str | None]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, position, paused, failed_position, failure FROM followers").fetchall()
    return {name: tuple(rest) for name, *rest in rows}


async def test_every_event_is_handled_once_in_order_and_the_position_is_that_of_the_last(url: str) -> None:
    await record(url, 25)
    follower = Ledger()
    async with running(url, follower, batch=10):
        await until(lambda: len(written_down(url)) == 25)
        await record(url, 5)
        await until(lambda: len(written_down(url)) == 30)
    assert written_down(url) == positions(url)
    assert states(url) == {"ledger": (positions(url)[-1], False, None, None)}
    assert max(follower.batches) == 10
