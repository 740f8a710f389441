"""Clients that are only in the way: they cost next to nothing, and others are served meanwhile."""

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.raw_connection import RawConnection, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

WITHIN = 1.0
LATE = 3.0
"""Seconds by which the server's look, once in a second, and a busy machine may be late."""
HALF_A_BODY = request_head("PATCH", PATH, *bearer("user_half").items(), ("Content-Length", "40")) + b'{"email": '
IMPATIENT = {"header_within": WITHIN, "body_within": WITHIN}


@pytest.fixture
def impatient(new_database) -> Iterator[Server]:
    with Server(new_database(), **IMPATIENT) as running:
        yield running


@pytest.fixture
def few_files(new_database) -> Iterator[Server]:
    """A service that may have a hundred connections."""
    with Server(new_database(), **IMPATIENT) as running:
        opened = len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))
        _, most = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (opened + 100, most))
        yield running


async def flood(url: str) -> None:
    """A header without end."""
    async with connected(url) as connection:
        await connection.send(request_head("GET", PATH, ("X-Padding", ""))[:-4])
        with suppress(OSError):
            while True:
                await connection.send(b"x" * (1 << 16))


async def wait_for_nothing(url: str, begun: bytes) -> None:
    async with connected(url) as connection:
        await connection.send(begun)
        await connection.rest(patience=WITHIN + 5 * LATE)


async def served(connection: RawConnection) -> float:
    """Seconds for a request of one who is no nuisance."""
    began = time.monotonic()
    await connection.send(request_head("GET", PATH, *bearer().items()))
    assert (await connection.answer()).status == 200
    return time.monotonic() - began


async def newcomer(url: str) -> None:
    async with connected(url) as connection:
        await served(connection)


async def test_what_is_only_there_to_be_in_the_way_costs_next_to_nothing(impatient) -> None:
    # Given what the service needs for itself
    process = psutil.Process(impatient.process.pid)
    await newcomer(impatient.url)
    before = process.memory_info().rss
    most, slowest = before, 0.0
    # when clients send a header without end, say nothing at all, or stop in the middle,
    nuisance = [flood(impatient.url) for _ in range(5)]
    nuisance += [wait_for_nothing(impatient.url, b"") for _ in range(1500)]
    nuisance += [wait_for_nothing(impatient.url, HALF_A_BODY) for _ in range(500)]
    async with connected(impatient.url) as other, asyncio.TaskGroup() as group:
        nuisances = [group.create_task(each) for each in nuisance]

        async def newcomers() -> None:
            """They queue behind all those connections, so that on a busy machine only the limit of an answer bounds them."""
            while not all(task.done() for task in nuisances):
                await newcomer(impatient.url)
                await asyncio.sleep(0.2)

        group.create_task(newcomers())
        while not all(task.done() for task in nuisances):
            slowest = max(slowest, await served(other))
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.05)
    # then all of them are closed in time, new connections are served meanwhile, and others hardly notice.
    assert most - before < 20 * 1024 * 1024
    assert slowest < 2


async def test_where_silent_connections_take_all_files_there_is_soon_room_again(few_files) -> None:
    # Given more silent clients than there may be connections, each of which comes again when it was sent away
    async def insist() -> None:
        while True:
            with suppress(OSError):
                await wait_for_nothing(few_files.url, b"")
            await asyncio.sleep(0.5)

    async def come_in() -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await newcomer(few_files.url)
                return
            await asyncio.sleep(0.05)

    insisting = [asyncio.create_task(insist()) for _ in range(200)]
    try:
        await asyncio.sleep(WITHIN / 2)
        # when another client comes, and insists, too, then it is served, again and again.
        for _ in range(3):
            async with asyncio.timeout(WITHIN + 4 * LATE):
                await come_in()
    finally:
        for task in insisting:
            task.cancel()
        await asyncio.gather(*insisting, return_exceptions=True)
