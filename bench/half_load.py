"""Half of what a server can bear, and one user beside it who waits for what becomes of her changes.

She has an organization of her own and changes her mind a few times a second, so whoever hears of that organization hears of
her alone.
"""

import asyncio
import random
import time
from collections.abc import Mapping

import orjson

from bench.pair import VoidRun
from bench.server import PATH
from bench.stage import Stage
from bench.trial import Trial
from bench.users import User
from bench.wrk import Answers, Load, send

CONNECTIONS = 32
PAUSE = 0.02
"""Seconds between two changes of the one who waits for them, on average."""

WHO_WAITS = User("org_2waits", "user_2waits")


def half_of(stage: Stage, trial: Trial) -> tuple[Answers, int]:
    """What the server can bear, and the milliseconds that each connection waits after an answer so that half is left."""
    full = trial.run("PATCH", CONNECTIONS, stage.size.seconds)
    if full.faults:
        raise VoidRun(", ".join(full.faults))
    # An answer takes hardly less time then.
    return full.answers, round(2000 * CONNECTIONS / full.answers.rate - full.answers.p50)


async def latencies_beside(
    stage: Stage, trial: Trial, pause: int, arrived: Mapping[str, float]
) -> tuple[Answers, list[float]]:
    """What the load was, and the milliseconds from each acknowledgement of hers to its arrival; 0 where that was faster.

    `arrived` is filled by somebody else: when each change came, by the request that made it.
    """
    acknowledged: dict[str, float] = {}
    seconds = stage.size.seconds * stage.size.rounds
    load = asyncio.create_task(asyncio.to_thread(_send_load, trial, pause, seconds))
    await _change_minds(trial.server.port, stage.issuer.token(WHO_WAITS), acknowledged, load)
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
