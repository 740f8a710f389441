"""The feed: all of the log as lines, the server's memory meanwhile, and how long a change takes to reach a stream.

A pass over a quarter of the log comes first, and what the server holds then is compared with what it holds at the most
while it hands out everything: if it kept anything of what it sent, it would show.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from statistics import median

import orjson

from bench.contender import OURS, OURS_ALONE
from bench.feed_reader import new_key, read_lines, read_stream
from bench.goals import Figure
from bench.half_load import TIMED, p99_at_half_load
from bench.stage import Stage
from bench.trial import Trial, VoidRun

NAME = "feed"


def measure(stage: Stage) -> list[Figure]:
    return [*_lines(stage), _stream(stage)]


def _lines(stage: Stage) -> list[Figure]:
    size = stage.size
    events = size.rebuilt_users * size.rebuilt_events
    with stage.log(size.rebuilt_users, size.rebuilt_events) as url, stage.trial(OURS_ALONE, url) as trial:
        key = asyncio.run(new_key(url, None))
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
    with stage.trial(OURS) as trial:
        hers, of_all = (asyncio.run(new_key(trial.url, organization)) for organization in (TIMED.organization, None))
        return p99_at_half_load(
            stage, trial, "feed.p99", _arrivals(trial.server.port, trial.record.position, hers, of_all)
        )


@asynccontextmanager
async def _arrivals(port: int, position: Callable[[], int], hers: str, of_all: str) -> AsyncIterator[dict[str, float]]:
    """Begins once the stream has. Another reader reads the changes of all users meanwhile. `position` is the end of the log. Raises what a
    reader has raised."""
    arrived: dict[str, float] = {}
    begun = asyncio.Event()
    end = position()

    async def note() -> None:
        async with aclosing(read_stream(port, hers, end)) as lines:
            async for line in lines:
                begun.set()
                if line.startswith(b"data:") and b"toggled" in line:
                    at = time.perf_counter()
                    arrived[orjson.loads(line[5:])["data"]["request_id"]] = at
        raise VoidRun("the stream of the timed user has ended")

    async def drain() -> None:
        async with aclosing(read_stream(port, of_all, end)) as lines:
            async for _ in lines:
                pass
        raise VoidRun("the stream of all users has ended")

    readers = [asyncio.create_task(note()), asyncio.create_task(drain())]
    beginning = asyncio.create_task(begun.wait())
    try:
        await asyncio.wait([beginning, *readers], return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            yield arrived
    finally:
        ended = [reader for reader in readers if reader.done()]
        for each in (beginning, *readers):
            each.cancel()
        for reader in ended:
            reader.result()
