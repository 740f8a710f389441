"""Handing the log on to NATS, against a bare nats-py publisher into the same server.

Run as a program, it is one of the two publishers, on the core that is otherwise the server's: `bare`, which sends the very
messages that the relay sends and asks for nothing but an acknowledgement each, or `relay`. It prints events and seconds.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import nats
import orjson
import psycopg
from nats.js.api import DiscardPolicy, StreamConfig

from bench.command import rate_of
from bench.goals import Figure
from bench.stage import Stage
from infrastructure.embedded.nats_server import NatsServer
from infrastructure.followers.runner import FollowerRunner
from infrastructure.log.event_log import end_of_log, read_after
from infrastructure.nats.jetstream import SUBJECTS, BrokerStream
from infrastructure.nats.relay import NAME as FOLLOWER
from infrastructure.nats.relay import Relay
from projections.nats_messages import message

NAME = "relay"
STREAM = "notification-preferences"
READ_AT_ONCE = 1000
EVENTS = 5
"""Of each user."""


def measure(stage: Stage) -> list[Figure]:
    events = stage.size.relayed_users * EVENTS
    with (
        tempfile.TemporaryDirectory(dir=stage.work) as folder,
        stage.log(stage.size.relayed_users, EVENTS) as url,
        # `sync_interval: always`, as every server that the project starts.
        NatsServer(Path(folder)) as broker,
    ):

        def run(publisher: str) -> float:
            stage.settle()
            return rate_of(stage, __name__, publisher, expected=events, DATABASE_URL=url, NATS_URL=broker.url)

        rounds = [(run("bare"), run("relay")) for _ in range(stage.size.rounds)]
    theirs, ours = map(median, zip(*rounds, strict=True))
    ratio = median(relay / bare for bare, relay in rounds)
    return [Figure("relay.rate", ratio, f"{ours:,.0f} events/s against {theirs:,.0f}/s, {events:,} events")]


async def bare(url: str, broker: str) -> float:
    """As fast as nats-py goes with an acknowledgement for each message, of which 4,000 may be outstanding."""
    ready, position = [], 0
    async with await psycopg.AsyncConnection.connect(url) as connection:
        while events := await read_after(connection, position, READ_AT_ONCE):
            position = events[-1].position
            messages = [message(*recorded) for recorded in events]
            ready += [(one.subject, orjson.dumps(one.data), one.headers) for one in messages]
    connection = await nats.connect(broker)
    jetstream = connection.jetstream()
    started = time.perf_counter()
    acknowledged = [
        await jetstream.publish_async(subject, payload, headers=headers) for subject, payload, headers in ready
    ]
    await asyncio.gather(*acknowledged)
    seconds = time.perf_counter() - started
    await connection.close()
    return seconds


async def relay(url: str, broker: str) -> float:
    """The relay as it is, from the log to the position that it notes in the database."""
    stop = asyncio.Event()
    ours = Relay(BrokerStream([broker], STREAM))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        end = await end_of_log(connection)
        await connection.execute("DELETE FROM followers WHERE name = %s", [FOLLOWER])
        started = time.perf_counter()
        running = asyncio.create_task(FollowerRunner(url, ours, stands_at=ours.stands_at).run(stop))
        query = "SELECT FROM followers WHERE name = %s AND position = %s"
        while not await (await connection.execute(query, [FOLLOWER, end])).fetchall():  # noqa: ASYNC110 - another process moves on, and has no event of ours to set
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
    stop.set()
    await running
    await ours.close()
    return seconds


async def publish(publisher: str, url: str, broker: str) -> tuple[int, float]:
    """Into a new stream, made the same for both; how many messages it holds afterwards, and the seconds it took."""
    connection = await nats.connect(broker)
    jetstream = connection.jetstream()
    await jetstream.add_stream(
        StreamConfig(name=STREAM, subjects=[SUBJECTS], allow_atomic=True, discard=DiscardPolicy.NEW)
    )
    try:
        seconds = await {"bare": bare, "relay": relay}[publisher](url, broker)
        return (await jetstream.stream_info(STREAM)).state.messages, seconds
    finally:
        await jetstream.delete_stream(STREAM)
        await connection.close()


if __name__ == "__main__":
    print(*asyncio.run(publish(sys.argv[1], os.environ["DATABASE_URL"], os.environ["NATS_URL"])))
