"""Handing the log on to NATS: against a bare nats-py publisher into the same server, and how long a change takes.

Run as a program, it is one of the two publishers, on the core that is otherwise the server's: `bare`, which sends the very
messages that the relay sends and asks for nothing but an acknowledgement each, or `relay`. It prints events and seconds.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import nats
import orjson
import psycopg
from nats.js.api import DiscardPolicy, StreamConfig

from bench.cores import pin
from bench.figure import Figure
from bench.pair import VoidRun
from bench.server import ROOT
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations
from infrastructure.event_log import end_of_log, read_after
from infrastructure.event_stream import SUBJECTS, EventStream
from infrastructure.followers import FollowerRunner
from infrastructure.nats_server import NatsServer
from infrastructure.relay import NAME as FOLLOWER
from infrastructure.relay import Relay
from projections.nats_messages import message

NAME = "relay"
STREAM = "notification-preferences"
READ_AT_ONCE = 1000
EVENTS = 5


def measure(stage: Stage) -> list[Figure]:
    users = stage.size.relayed_users
    with tempfile.TemporaryDirectory(dir=stage.work) as folder, stage.database("relay") as url:
        migrations.migrate(url)
        fill(url, map(numbered, range(users)), EVENTS)
        # `sync_interval: always`, as every server that the project starts.
        with NatsServer(Path(folder)) as broker:
            rounds = [
                (_run(stage, "bare", url, broker.url, users), _run(stage, "relay", url, broker.url, users))
                for _ in range(stage.size.rounds)
            ]
    bare, relay = (median(rates) for rates in zip(*rounds, strict=True))
    ratio = median(ours / theirs for theirs, ours in rounds)
    return [Figure("relay.rate", ratio, f"{relay:,.0f} events/s against {bare:,.0f}/s, {users * EVENTS:,} events")]


def _run(stage: Stage, publisher: str, url: str, broker: str, users: int) -> float:
    stage.settle()
    done = subprocess.run(
        [sys.executable, "-m", "bench.parts.relay", publisher],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url, "NATS_URL": broker},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: pin(stage.cores.server),
    )
    events, seconds = done.stdout.split()[-2:]
    if int(events) != users * EVENTS:
        raise VoidRun(f"{publisher} handed on {events} of {users * EVENTS} events")
    return int(events) / float(seconds)


async def bare(url: str, broker: str) -> tuple[int, float]:
    """As fast as nats-py goes with an acknowledgement for each message, of which 4,000 may be outstanding."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        messages = []
        while events := await read_after(connection, _position(messages), READ_AT_ONCE):
            messages += [(recorded.position, message(*recorded)) for recorded in events]
    ready = [(one.subject, orjson.dumps(one.data), one.headers) for _, one in messages]
    connection = await nats.connect(broker)
    jetstream = connection.jetstream()
    started = time.perf_counter()
    acknowledged = [
        await jetstream.publish_async(subject, payload, headers=headers) for subject, payload, headers in ready
    ]
    await asyncio.gather(*acknowledged)
    seconds = time.perf_counter() - started
    await connection.close()
    return len(ready), seconds


async def relay(url: str, broker: str) -> tuple[int, float]:
    """The relay as it is, from the log to the position that it notes in the database."""
    stop = asyncio.Event()
    ours = Relay(EventStream([broker], STREAM))
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
    return 0, seconds


async def publish(publisher: str, url: str, broker: str) -> tuple[int, float]:
    """Into a new stream, made the same for both; how many messages it holds afterwards, and the seconds it took."""
    connection = await nats.connect(broker)
    jetstream = connection.jetstream()
    await jetstream.add_stream(
        StreamConfig(name=STREAM, subjects=[SUBJECTS], allow_atomic=True, discard=DiscardPolicy.NEW)
    )
    try:
        _, seconds = await {"bare": bare, "relay": relay}[publisher](url, broker)
        return (await jetstream.stream_info(STREAM)).state.messages, seconds
    finally:
        await jetstream.delete_stream(STREAM)
        await connection.close()


def _position(messages: list) -> int:
    return messages[-1][0] if messages else 0


if __name__ == "__main__":
    print(*asyncio.run(publish(sys.argv[1], os.environ["DATABASE_URL"], os.environ["NATS_URL"])))
