"""Measures how long a change takes from its acknowledgement to a JetStream consumer, while the server gets half of what it can handle.

On few cores everything but the server shares the others: PostgreSQL, NATS, the relay, the load, and the consumer.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import orjson
from nats.aio.msg import Msg

from bench.command import running_beside
from bench.contender import OURS
from bench.goals import Figure
from bench.half_load import TIMED, p99_at_half_load
from bench.stage import Stage
from infrastructure.embedded.nats_server import NatsServer

NAME = "relay_latency"
STREAM = "notification-preferences"


def measure(stage: Stage) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(dir=stage.work) as folder,
        stage.trial(OURS) as trial,
        NatsServer(Path(folder)) as broker,
        running_beside(stage, trial.url, "relay", cores=stage.cores.others, NATS_URL=broker.url),
    ):
        return [p99_at_half_load(stage, trial, "relay.p99", _arrivals(broker.url))]


@asynccontextmanager
async def _arrivals(broker: str) -> AsyncIterator[dict[str, float]]:
    arrived: dict[str, float] = {}

    async def note(received: Msg) -> None:
        arrived[orjson.loads(received.data)["request_id"]] = time.perf_counter()

    connection = await nats.connect(broker)
    async with asyncio.timeout(30):
        while STREAM not in [info.config.name for info in await connection.jetstream().streams_info()]:  # noqa: ASYNC110 - another process moves on, and has no event of ours to set
            await asyncio.sleep(0.05)
    subject = f"notification-preferences.{TIMED.organization}.toggled"
    await connection.jetstream().subscribe(subject, cb=note, ordered_consumer=True)
    try:
        yield arrived
    finally:
        await connection.close()
