"""What was recorded, what a broker has stored of it, and whether that is the same: each event once, in order."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import nats
import nats.errors
import psycopg
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RawStreamMsg

STREAM = "notification-preferences"

Answer = TypeVar("Answer")


class Told(NamedTuple):
    """An event, by its position in the log, its stream (a user) and its number in it."""

    position: int
    user: str
    version: int


def recorded(url: str) -> list[Told]:
    """What stands in the log, in its order."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id::text, originator_version FROM preferences_events ORDER BY 1"
        )
        return [Told(*row) for row in rows]


def faults(log: Sequence[Told], told: Sequence[Told]) -> list[str]:
    """What a consumer can't forgive: events missing, told twice, or out of the order of their user."""
    counts = Counter(told)
    found = [f"missing: {event}" for event in log if event not in counts]
    found += [f"told {count} times: {event}" for event, count in counts.items() if count > 1]
    found += [f"never recorded: {event}" for event in set(told) - set(log)]
    latest: dict[str, int] = {}
    for event in told:
        if event.version <= latest.get(event.user, 0):
            found.append(f"after version {latest[event.user]}: {event}")
        latest[event.user] = event.version
    return found


async def connected(url: str) -> Client:
    """A client that says nothing while a server is away."""

    async def quiet(_error: Exception) -> None: ...

    return await nats.connect(url, error_cb=quiet, max_reconnect_attempts=-1, reconnect_time_wait=0.05)


async def stored(url: str, stream: str = STREAM) -> list[RawStreamMsg]:
    """Every message of the stream, with its headers, in its order."""
    connection = await connected(url)
    try:
        jetstream = connection.jetstream()
        state = (await jetstream.stream_info(stream)).state
        if state.messages == 0:
            return []
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, mem_storage=True)
        subscription = await jetstream.pull_subscribe(">", stream=stream, config=config)
        messages = []
        while len(messages) < state.messages:
            messages += await subscription.fetch(min(1000, state.messages - len(messages)), timeout=5)
        return messages
    finally:
        await connection.close()


async def patiently(ask: Callable[[], Awaitable[Answer]], seconds: float = 30) -> Answer:
    """The answer, asked for again while a cluster elects somebody who knows it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except nats.errors.Error:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


async def told(url: str, stream: str = STREAM) -> list[Told]:
    """The same, as a consumer understands it."""
    return [understood(message.headers or {}, message.data or b"") for message in await stored(url, stream)]


def understood(headers: dict[str, str], data: bytes) -> Told:
    version = int(data.partition(b'"version":')[2].partition(b"}")[0])
    return Told(int(headers["ce-sequence"]), headers["ce-partitionkey"], version)
