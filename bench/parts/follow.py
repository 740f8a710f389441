"""Following the log from position 0, each event decoded to a domain object, its actor unsealed.

Run as a program, it follows the log of the database it is given, once, and prints how many events it saw in how many
seconds: a process of its own, on the core that is otherwise the server's.
"""

import asyncio
import os
import subprocess
import sys
import time
from statistics import median

from application.feed import EVERYTHING, slices
from bench.cores import pin
from bench.figure import Figure
from bench.server import ROOT
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations
from infrastructure.database import Database
from infrastructure.event_feed import PostgresEventFeed

NAME = "follow"


def measure(stage: Stage) -> list[Figure]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.database("follow") as url:
        migrations.migrate(url)
        fill(url, map(numbered, range(users)), events)
        rates = [_run(stage, url, users * events) for _ in range(stage.size.rounds)]
    return [Figure("follow.rate", median(rates), f"{users * events:,} events, read and decoded in one process")]


def _run(stage: Stage, url: str, expected: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "bench.parts.follow"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: pin(stage.cores.server),
    )
    seen, seconds = done.stdout.split()
    if int(seen) != expected:
        raise RuntimeError(f"the reader saw {seen} of {expected} events")
    return expected / float(seconds)


async def follow(url: str) -> tuple[int, float]:
    seen = 0
    async with Database(url, size=2) as database:
        feed = PostgresEventFeed(database)
        started = time.perf_counter()
        async for piece in slices(feed, 0, await feed.end(), EVERYTHING):
            for _ in piece.events:
                seen += 1
        return seen, time.perf_counter() - started


if __name__ == "__main__":
    print(*asyncio.run(follow(os.environ["DATABASE_URL"])))
