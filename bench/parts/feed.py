"""The feed: all of the log as lines, what that takes of the server's memory, and how long a change takes to a stream.

A pass over a quarter of the log comes first, and what the server holds then is compared with what it holds at the most
while it hands out everything: if it kept anything of what it sent, it would show.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from statistics import median, quantiles

import orjson

from bench.contender import OURS
from bench.feed_reader import new_key, read_lines, read_stream
from bench.figure import Figure
from bench.half_load import WHO_WAITS, half_of, latencies_beside
from bench.pair import VoidRun
from bench.stage import Stage
from bench.stored_log import fill
from bench.trial import Trial
from bench.users import numbered
from bench.wrk import Answers
from infrastructure import migrations

NAME = "feed"


def measure(stage: Stage) -> list[Figure]:
    return [*_lines(stage), _stream(stage)]


def _lines(stage: Stage) -> list[Figure]:
    size = stage.size
    events = size.rebuilt_users * size.rebuilt_events
    with stage.database("feed") as url:
        migrations.migrate(url)
        fill(url, map(numbered, range(size.rebuilt_users)), size.rebuilt_events)
        key = asyncio.run(new_key(url, None))
        with stage.trial(OURS, url) as trial:
            _read(trial, key, events - events // 4, events // 4)
            _, quarter = trial.server.resident
            rates = [_read(trial, key, 0, events) for _ in range(size.rounds)]
            _, most = trial.server.resident
    return [
        Figure("feed.rate", median(rates), f"{events:,} events over HTTP, by one reader"),
        Figure("feed.memory", most / quarter, f"{most / 1e6:.0f} MB at most, {quarter / 1e6:.0f} MB after a quarter"),
    ]


def _read(trial: Trial, key: str, after: int, expected: int) -> float:
    events, seconds = read_lines(trial.server.port, key, after)
    if events != expected:
        raise VoidRun(f"{events} of {expected} events came")
    return events / seconds


def _stream(stage: Stage) -> Figure:
    """Beside the one whose changes are timed, somebody reads the changes of all."""
    with stage.database("feed_stream") as url, stage.trial(OURS, url) as trial:
        keys = [asyncio.run(new_key(url, organization)) for organization in (WHO_WAITS.organization, None)]
        full, pause = half_of(stage, trial)
        load, latencies = asyncio.run(_measured(stage, trial, *keys, pause))
    detail = (
        f"p50 {median(latencies):.0f} ms, {len(latencies):,} changes, at {load.rate:,.0f} PATCH/s of {full.rate:,.0f}/s"
    )
    return Figure("feed.p99", quantiles(latencies, n=100)[98], detail)


async def _measured(stage: Stage, trial: Trial, hers: str, of_all: str, pause: int) -> tuple[Answers, list[float]]:
    port, end = trial.server.port, trial.record.position()
    async with _arrivals(port, hers, end) as arrived:
        draining = asyncio.create_task(_drain(port, of_all, end))
        try:
            return await latencies_beside(stage, trial, pause, arrived)
        finally:
            draining.cancel()


@asynccontextmanager
async def _arrivals(port: int, key: str, after: int) -> AsyncIterator[dict[str, float]]:
    """When each of her changes arrived, by the request that made it. Begins once the stream has."""
    arrived: dict[str, float] = {}
    begun = asyncio.Event()

    async def note() -> None:
        async with aclosing(read_stream(port, key, after)) as lines:
            async for line in lines:
                begun.set()
                if line.startswith(b"data:") and b"toggled" in line:
                    at = time.perf_counter()
                    arrived[orjson.loads(line[5:])["data"]["request_id"]] = at

    noting = asyncio.create_task(note())
    await begun.wait()
    try:
        yield arrived
    finally:
        noting.cancel()


async def _drain(port: int, key: str, after: int) -> None:
    async with aclosing(read_stream(port, key, after)) as lines:
        async for _ in lines:
            pass
