"""How long a change takes to a JetStream consumer, from its acknowledgement, while the server has half of what it can bear.

A user of an organization of her own changes her mind a few times a second beside the load; her consumer is told of her
organization only. On few cores everything but the server shares the others: PostgreSQL, NATS, the relay, the load, and
the consumer.
"""

import asyncio
import os
import random
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
from bench.pair import VoidRun
from bench.server import PATH
from bench.stage import Stage
from bench.trial import Trial
from bench.users import User
from bench.wrk import Answers, Load, send
from infrastructure.nats_server import NatsServer

NAME = "relay_latency"
STREAM = "notification-preferences"
CONNECTIONS = 32
PAUSE = 0.02
"""Seconds between two changes of the one who waits for them, on average."""

WHO_WAITS = User("org_2waits", "user_2waits")


def measure(stage: Stage) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(dir=stage.work) as folder,
        stage.database("relay_latency") as url,
        stage.trial(OURS, url) as trial,
        NatsServer(Path(folder)) as broker,
        _relaying(stage, url, broker.url),
    ):
        full = trial.run("PATCH", CONNECTIONS, stage.size.seconds)
        if full.faults:
            raise VoidRun(", ".join(full.faults))
        # Each connection waits so long after an answer that half of the rate is left: an answer takes hardly less time then.
        pause = round(2000 * CONNECTIONS / full.answers.rate - full.answers.p50)
        seconds = stage.size.seconds * stage.size.rounds
        load, latencies = asyncio.run(_measured(stage, trial, broker.url, pause, seconds))
    detail = (
        f"p50 {median(latencies):.0f} ms, {len(latencies):,} changes, "
        f"at {load.rate:,.0f} PATCH/s of {full.answers.rate:,.0f}/s"
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


async def _measured(stage: Stage, trial: Trial, broker: str, pause: int, seconds: int) -> tuple[Answers, list[float]]:
    """What the load was, and the milliseconds from each acknowledgement to the consumer; 0 where that was faster."""
    acknowledged: dict[str, float] = {}
    async with _arrivals(broker) as arrived:
        load = asyncio.create_task(asyncio.to_thread(_send_load, trial, pause, seconds))
        await _change_minds(trial.server.port, stage.issuer.token(WHO_WAITS), acknowledged, load)
        answers = await load
        async with asyncio.timeout(30):
            while len(arrived) < len(acknowledged):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    if set(arrived) != set(acknowledged) or answers.refused or answers.broken:
        raise VoidRun(f"{len(arrived)} of {len(acknowledged)} changes arrived, {answers.refused} were refused")
    return answers, [max(0.0, arrived[one] - at) * 1000 for one, at in acknowledged.items()]


def _send_load(trial: Trial, pause: int, seconds: int) -> Answers:
    choices = trial.users.tokens.with_suffix(".choices")
    choices.write_text("".join("01"[choice] for choice in trial.record.choices(trial.users.users)))
    load = Load("PATCH", CONNECTIONS, seconds, trial.users.tokens, choices, pause=pause)
    return send(load, trial.server.address)


@asynccontextmanager
async def _arrivals(broker: str) -> AsyncIterator[dict[str, float]]:
    """When each of the user's changes arrived, by the request that made it."""
    arrived: dict[str, float] = {}

    async def note(received: Msg) -> None:
        arrived[orjson.loads(received.data)["request_id"]] = time.perf_counter()

    connection = await nats.connect(broker)
    async with asyncio.timeout(30):
        while STREAM not in [info.config.name for info in await connection.jetstream().streams_info()]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    subject = f"notification-preferences.{WHO_WAITS.organization}.toggled"
    await connection.jetstream().subscribe(subject, cb=note, ordered_consumer=True)
    try:
        yield arrived
    finally:
        await connection.close()


async def _change_minds(port: int, token: str, acknowledged: dict[str, float], until: asyncio.Task[Answers]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    choice = False
    while not until.done():
        choice = not choice
        body = orjson.dumps({"email": {"weekly_usage_digest": choice}})
        head = f"PATCH {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        at = time.perf_counter()
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        if " 200 " not in lines[0]:
            raise VoidRun(lines[0])
        acknowledged[headers["x-request-id"].upper()] = at
        await asyncio.sleep(random.uniform(0, 2 * PAUSE))
    writer.close()
    await writer.wait_closed()
