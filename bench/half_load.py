"""Measures how long a change takes to reach a reader of the log, while the server gets half of the PATCHes that it can handle.

One user beside the load has an organization of her own and changes her mind a few times a second. The reader is told of
that organization only, so it hears of her changes alone.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from statistics import median, quantiles

import orjson

from bench.goals import Figure
from bench.pair import CONNECTIONS
from bench.server import PATH
from bench.stage import Stage
from bench.trial import Trial, VoidRun
from bench.users import User
from bench.wrk import Answers, Load, send

PAUSE = 0.02
"""Seconds between two changes of the user who is timed, on average."""

TIMED = User("org_2waits", "user_2waits")

Arrivals = AbstractAsyncContextManager[Mapping[str, float]]
"""A reader that runs for as long as it is entered: when each change of the timed user arrived, by the request that made it."""


def p99_at_half_load(stage: Stage, trial: Trial, name: str, arrivals: Arrivals) -> Figure:
    """Of the milliseconds from the acknowledgement of a change to its arrival; 0 for a change that arrived before."""
    full = trial.run("PATCH", CONNECTIONS, stage.size.seconds).counted().answers
    # What each connection waits before a request, so that half of the load is left: an answer takes hardly less time then.
    pause = round(2000 * CONNECTIONS / full.rate - full.p50)
    load, latencies = asyncio.run(_latencies(stage, trial, pause, arrivals))
    detail = (
        f"p50 {median(latencies):.0f} ms, {len(latencies):,} changes, at {load.rate:,.0f} PATCH/s of {full.rate:,.0f}/s"
    )
    return Figure(name, quantiles(latencies, n=100)[98], detail)


async def _latencies(stage: Stage, trial: Trial, pause: int, arrivals: Arrivals) -> tuple[Answers, list[float]]:
    acknowledged: dict[str, float] = {}
    async with arrivals as arrived:
        load = asyncio.create_task(asyncio.to_thread(_send_load, trial, pause, stage.size.seconds * stage.size.rounds))
        await _change_mind(trial.server.port, stage.issuer.token(TIMED), acknowledged, load)
        answers = await load
        async with asyncio.timeout(30):
            while len(arrived) < len(acknowledged):  # noqa: ASYNC110 - another process moves on, and has no event of ours to set
                await asyncio.sleep(0.05)
        if set(arrived) != set(acknowledged) or answers.refused or answers.broken:
            raise VoidRun(f"{len(arrived)} of {len(acknowledged)} changes arrived, {answers.refused} were refused")
        return answers, [max(0.0, arrived[one] - at) * 1000 for one, at in acknowledged.items()]


def _send_load(trial: Trial, pause: int, seconds: float) -> Answers:
    choices = trial.users.tokens.with_suffix(".choices")
    choices.write_text("".join("01"[choice] for choice in trial.record.choices(trial.users.users)))
    load = Load("PATCH", CONNECTIONS, seconds, trial.users.tokens, choices, pause=pause)
    return send(load, trial.server.address)


async def _change_mind(port: int, token: str, acknowledged: dict[str, float], until: asyncio.Task[Answers]) -> None:
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
