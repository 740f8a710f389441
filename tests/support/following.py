"""A process that runs a follower, as `preferences follow` does, for tests that kill it."""

import asyncio
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from typing import Any

import psycopg

from application.log import Recorded
from infrastructure import logs
from infrastructure.followers.runner import FollowerRunner
from tests.support.ledger import Ledger, write_down

BATCH = 7
"""A little at a time, so that there are many moments to be killed at."""


class Torn(Ledger):
    """The negative control: its effect and its position are two transactions."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    async def handle(self, events: Sequence[Recorded], transaction: psycopg.AsyncConnection[Any]) -> None:
        async with await psycopg.AsyncConnection.connect(self._url) as own:
            await write_down(own, events)
        # Another system would answer over a network. Without this the moment between the two commits is rarely met by a kill.
        await asyncio.sleep(0.005)


@contextmanager
def following(url: str, *, torn: bool = False) -> Iterator[ForkServerProcess]:
    """Killed at the end, if it still lives."""
    # Forked off a server that has imported everything: a process of its own that is there in no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=main, args=(url, torn))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def main(url: str, torn: bool) -> None:
    logs.configure("warning")
    asyncio.run(_follow(url, torn))


async def _follow(url: str, torn: bool) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    follower = Torn(url) if torn else Ledger()
    await FollowerRunner(url, follower, batch=BATCH, poll=0.05).run(stop)
