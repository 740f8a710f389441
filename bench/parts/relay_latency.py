"""How long a change takes to a JetStream consumer, from its acknowledgement, while the server has half of what it can bear.

A user of an organization of her own changes her mind a few times a second beside the load; her consumer is told of her
organization only. On few cores everything but the server shares the others: PostgreSQL, NATS, the relay, the load, and
the consumer.
"""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median, quantiles

import nats
import orjson
from nats.aio.msg import Msg

from bench.contender import OURS
from bench.cores import pin
from bench.figure import Figure
from bench.half_load import WHO_WAITS, half_of, latencies_beside
from bench.stage import Stage
from bench.trial import Trial
from bench.wrk import Answers
from infrastructure.nats_server import NatsServer

NAME = "relay_latency"
STREAM = "notification-preferences"


def measure(stage: Stage) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(dir=stage.work) as folder,
        stage.database("relay_latency") as url,
        stage.trial(OURS, url) as trial,
        NatsServer(Path(folder)) as broker,
        _relaying(stage, url, broker.url),
    ):
        full, pause = half_of(stage, trial)
        load, latencies = asyncio.run(_measured(stage, trial, broker.url, pause))
    detail = (
        f"p50 {median(latencies):.0f} ms, {len(latencies):,} changes, at {load.rate:,.0f} PATCH/s of {full.rate:,.0f}/s"
    )
    return [Figure("relay.p99", quantiles(latencies, n=100)[98], detail)]


@contextmanager
def _relaying(stage: Stage, url: str, broker: str) -> Iterator[None]:
    program, _ = OURS.command
    process = subprocess.Popen(
        [program, "relay"],
        env={"PATH": os.environ["PATH"], **stage.settings(url), "NATS_URL": broker},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: pin(stage.cores.others),
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _measured(stage: Stage, trial: Trial, broker: str, pause: int) -> tuple[Answers, list[float]]:
    async with _arrivals(broker) as arrived:
        return await latencies_beside(stage, trial, pause, arrived)


@asynccontextmanager
async def _arrivals(broker: str) -> AsyncIterator[dict[str, float]]:
    """When each of the user's changes arrived, by the request that made it."""
    arrived: dict[str, float] = {}

    async def note(received: Msg) -> None:
        arrived[orjson.loads(received.data)["request_id"]] = time.perf_counter()

    connection = await nats.connect(broker)
    async with asyncio.timeout(30):
        while STREAM not in [info.config.name for info in await connection.jetstream().streams_info()]:  # noqa: ASYNC110 - another process moves on, and has no event of ours to set
            await asyncio.sleep(0.05)
    subject = f"notification-preferences.{WHO_WAITS.organization}.toggled"
    await connection.jetstream().subscribe(subject, cb=note, ordered_consumer=True)
    try:
        yield arrived
    finally:
        await connection.close()
