"""Following the log from position 0, each event decoded to a domain object, its actor unsealed.

Run as a program, it follows the log of the database it is given, once, and prints how many events it saw in how many
seconds: a process of its own, on the core that is otherwise the server's.
"""

import asyncio
import os
import time
from statistics import median

from application.feed.feed import EVERYTHING, slices
from bench.command import rate_of
from bench.goals import Figure
from bench.stage import Stage
from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import ReadDatabase

NAME = "follow"


def measure(stage: Stage) -> list[Figure]:
    users, each = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.log(users, each) as url:
        rates = [rate_of(stage, __name__, expected=users * each, DATABASE_URL=url) for _ in range(stage.size.rounds)]
    return [Figure("follow.rate", median(rates), f"{users * each:,} events, read and decoded in one process")]


async def follow(url: str) -> tuple[int, float]:
    seen = 0
    async with Database(url, size=2) as database:
        feed = PostgresEventFeed(ReadDatabase(database))
        started = time.perf_counter()
        async for piece in slices(feed, 0, await feed.end(), EVERYTHING):
            for _ in piece.events:
                seen += 1
        return seen, time.perf_counter() - started


if __name__ == "__main__":
    print(*asyncio.run(follow(os.environ["DATABASE_URL"])))
