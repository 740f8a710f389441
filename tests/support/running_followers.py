"""Followers in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg

from infrastructure.followers.runner import FollowerRunner
from tests.support.events import NOON

NOW = NOON + timedelta(hours=1)


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


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def states(url: str) -> dict[str, tuple[int, bool, int | None, str | None]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, position, paused, failed_position, failure FROM followers").fetchall()
    return {name: tuple(rest) for name, *rest in rows}
