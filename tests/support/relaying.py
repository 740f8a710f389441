"""A relay in this process: as it runs, and step by step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from application.log import Recorded
from infrastructure.followers.runner import FollowerRunner
from infrastructure.log.event_log import read_after
from infrastructure.nats.jetstream import BrokerStream
from infrastructure.nats.relay import Relay
from tests.support.handed_on import STREAM

WINDOW = 0.1
"""Seconds after which these streams have forgotten which ids they have seen; the least that NATS takes."""


@asynccontextmanager
async def relaying(url: str, broker_url: str, **options: int) -> AsyncIterator[Relay]:
    """A relay that runs as in `preferences relay`, until everything is handed on at the end."""
    stop = asyncio.Event()
    relay = Relay(BrokerStream([broker_url], STREAM))
    runner = FollowerRunner(url, relay, stands_at=relay.stands_at, poll=0.05, rest=0, **options)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield relay
        await caught_up(url)
    finally:
        stop.set()
        await task
        await relay.close()


async def caught_up(url: str) -> None:
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        behind = (
            "SELECT (SELECT max(notification_id) FROM preferences_events) > coalesce(sum(position), -1) FROM followers"
        )
        while (await (await connection.execute(behind)).fetchall()) != [(False,)]:  # noqa: ASYNC110 - another process moves on, and has no event of ours to set
            await asyncio.sleep(0.01)


async def events_of(url: str) -> list[Recorded]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await read_after(connection, 0, 10_000)


async def hand_on(relay: Relay, url: str, *, noted: int, bookkeeping: bool = True) -> None:
    """One step of the relay, by hand, after the position that is noted; and whether it lived to note the new one."""
    after = await relay.stands_at(noted)
    events = [event for event in await events_of(url) if event.position > after]
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await relay.handle(events, connection)
        if not bookkeeping:
            await connection.rollback()
