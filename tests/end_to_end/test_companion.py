"""The followers run beside `serve`: they start with it, are started again when they die, and end with it, however it ends."""

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress

import httpx
import psutil
import psycopg
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support import processes
from tests.support.eventually import until
from tests.support.figures import figures
from tests.support.keep_alive import KeepAlive
from tests.support.server import Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer


def companion(server: Server) -> int | None:
    """The process id of the one that runs beside the server."""
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it may just have died
            if "--beside" in child.cmdline():
                return child.pid
    return None


def events(server: Server) -> list[str]:
    """What was logged, in its order."""
    return [json.loads(line)["event"] for line in server.log().splitlines() if line.startswith(b"{")]


@soak
@pytest.mark.parametrize(
    ("how", "workers"),
    rounds(
        [(signal.SIGTERM, 1), (signal.SIGINT, 2), (signal.SIGHUP, 1)],
        [(how, workers) for how in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) for workers in (1, 2)],
    ),
    ids=lambda value: getattr(value, "name", value),
)
def test_they_end_after_the_last_request_and_before_the_database(ready_cluster, folder, how, workers) -> None:
    data = ready_cluster.copy_to(folder / f"{how.name}_{workers}")
    with Server("", data_dir=data, followers="on", web_concurrency=workers) as server:
        until(lambda: events(server).count("started") == workers and "following" in events(server))
        beside = companion(server)
        assert beside is not None
        postgres = EmbeddedPostgres(data)
        postgres.start()
        # As a supervisor does, or a terminal, whose Ctrl-C reaches all processes of the group.
        (os.kill if how == signal.SIGTERM else os.killpg)(server.process.pid, how)
        assert server.process.wait(30) == 0
        logged = events(server)
        assert logged.count("stopped") == workers
        assert logged[-1] == "stopped following"
        assert "died" not in logged
        assert not processes.lives(beside)
        assert not processes.lives(postgres.pid)
        assert b"Traceback" not in server.log()


def test_who_dies_is_started_again(serve: Callable[..., Server]) -> None:
    server = serve(followers="on")
    until(lambda: "following" in events(server))
    first = companion(server)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: companion(server) not in {None, first} and events(server).count("following") == 2)
    until(lambda: "died" in events(server))
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert server.stop() == 0


def test_one_that_can_not_be_started_is_tried_again(serve: Callable[..., Server]) -> None:
    server = serve(followers="on")
    until(lambda: "following" in events(server))
    first = companion(server)
    assert first is not None
    # Given a machine on which the server can't start a process for a while
    with processes.nothing_to_open(server.process.pid):
        # when the followers die, then each start fails,
        os.kill(first, signal.SIGKILL)
        until(lambda: events(server).count("not started") == 2)
        assert companion(server) is None
    # and as soon as it can, they are back.
    until(lambda: companion(server) is not None and events(server).count("following") == 2)
    assert b"Traceback" not in server.log()
    assert server.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_when_the_server_is_killed_they_end_by_themselves(serve: Callable[..., Server], workers: int) -> None:
    server = serve(followers="on", web_concurrency=workers)
    until(lambda: "following" in events(server))
    beside = companion(server)
    assert beside is not None
    # The server alone, not its process group.
    server.process.kill()
    server.process.wait()
    until(lambda: not processes.lives(beside))
    until(lambda: "stopped following" in events(server))
    with suppress(ProcessLookupError):  # worker processes, if there are any, outlive it for a moment
        server.kill()


def test_they_can_be_left_to_somebody_else(serve: Callable[..., Server]) -> None:
    server = serve(followers="off")
    assert companion(server) is None
    server.stop()
    assert "following" not in events(server)


@soak
async def test_killed_while_eight_write_they_index_every_change_once(
    serve: Callable[..., Server], database_url: str, record_property
) -> None:
    # Given eight who change their preferences to and fro
    server = serve(followers="on", log_level="warning")
    writing = [asyncio.create_task(change_to_and_fro(server, f"user_{number}")) for number in range(8)]
    # when whoever follows is killed again and again,
    for _ in range(KILLS):
        before = await indexed(database_url)
        async with asyncio.timeout(60):
            while len(await indexed(database_url)) == len(before):  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.02)
        beside = companion(server)
        assert beside is not None
        os.kill(beside, signal.SIGKILL)
    for task in writing:
        task.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    # then it has seen every change, once.
    changes = await rows(database_url, CHANGES)
    async with asyncio.timeout(60):
        while await rows(database_url, STANDS_AT) != await rows(database_url, END):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)
    entries = await indexed(database_url)
    assert set(changes) <= set(entries)
    assert len(entries) == len(set(entries))
    figures(record_property, kills=KILLS, changes=len(changes))


KILLS = rounds(2, 20)
CHANGES = "SELECT notification_id FROM preferences_events WHERE topic LIKE '%toggled' ORDER BY 1"
END = "SELECT max(notification_id) FROM preferences_events"
STANDS_AT = "SELECT position FROM followers WHERE name = 'audit-index'"


async def change_to_and_fro(server: Server, user: str) -> None:
    async with KeepAlive(server.url) as connection:
        for number in itertools.count():
            change = {"email": {"product_updates": number % 2 == 0, "delivery_alerts": number % 2 == 0}}
            assert (await connection.patch(bearer(user), change)).status == 200
            await asyncio.sleep(0.01)


async def indexed(url: str) -> list[int]:
    return await rows(url, "SELECT position FROM audit_entries ORDER BY 1")


async def rows(url: str, query: str) -> list[int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return [value for (value,) in await (await connection.execute(query)).fetchall()]
