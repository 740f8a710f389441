"""One process of the service is killed, and the others do what is left to them: start it again, or end and make room."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support import processes
from tests.support.command import environment
from tests.support.eventually import until
from tests.support.figures import figures
from tests.support.forked import COMMAND
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

ADA = bearer("user_ada")


@pytest.fixture
def folder(folder: Path, request: pytest.FixtureRequest) -> Path:
    """Of each test alone."""
    name = folder / f"{abs(hash(request.node.name))}"
    name.mkdir()
    return name


def choose(server: Server, **toggles: bool) -> httpx.Response:
    return httpx.patch(f"{server.url}{PATH}", json={"email": toggles}, headers=ADA, timeout=30)


def answers(server: Server) -> bool:
    return httpx.get(f"{server.url}{PATH}", headers=ADA, timeout=30).status_code == 200


def events(server: Server) -> list[str]:
    return [json.loads(line)["event"] for line in server.log().splitlines() if line.startswith(b"{")]


def postgres_in(folder: Path) -> EmbeddedPostgres:
    """A look at the server's own PostgreSQL."""
    look = EmbeddedPostgres(folder)
    look.start()
    assert not look.started_here
    return look


@pytest.mark.parametrize("workers", [1, 2])
def test_when_the_embedded_postgres_is_killed_the_service_is_back_within_seconds(
    ready_cluster, folder, workers, record_property
) -> None:
    with Server("", data_dir=ready_cluster.copy_to(folder), followers="on", web_concurrency=workers) as server:
        # Given a service that has recorded something
        assert choose(server, product_updates=False).status_code == 200
        until(lambda: "following" in events(server))
        killed = postgres_in(folder).pid
        # when its PostgreSQL is killed,
        os.kill(killed, signal.SIGKILL)
        started = time.monotonic()
        # then it answers again, by itself, with all that was recorded,
        until(lambda: choose(server, delivery_alerts=False).status_code == 200, seconds=20)
        figures(record_property, seconds_until_200=round(time.monotonic() - started, 1))
        until(lambda: answers(server))
        resolved = httpx.get(f"{server.url}{PATH}", headers=ADA).json()["data"]["email"]
        assert (resolved["product_updates"], resolved["delivery_alerts"]) == (False, False)
        until(lambda: {"server died", "server runs again"} <= set(events(server)))
        # with its followers,
        url = postgres_in(folder).url
        until(lambda: all_are_indexed(url))
        # and it still stops what it started.
        second = postgres_in(folder).pid
        assert server.stop() == 0
        assert not processes.lives(second)


def all_are_indexed(url: str) -> bool:
    last = "SELECT (SELECT max(position) FROM audit_entries) = (SELECT max(notification_id) FROM preferences_events)"
    with psycopg.connect(url) as connection:
        return connection.execute(last).fetchone() == (True,)


def test_when_the_master_is_killed_its_workers_end_and_another_can_be_started_at_once(
    serve: Callable[..., Server], record_property
) -> None:
    # Given workers, and followers beside them
    server = serve(web_concurrency=2, followers="on")
    until(lambda: events(server).count("started") == 2 and "following" in events(server))
    family = processes.family(server.process.pid)
    assert len(processes.workers(server.process.pid)) == 2
    # when the process that started them is killed, and it alone,
    server.process.kill()
    server.process.wait()
    # then another one is started at the same port, while they may still be ending,
    started = time.monotonic()
    server.start()
    assert choose(server, product_updates=False).status_code == 200
    figures(record_property, seconds_until_next_serves=round(time.monotonic() - started, 1))
    # and none of them is left.
    until(lambda: not [pid for pid in family if processes.lives(pid)])
    assert len(processes.workers(server.process.pid)) == 2


def test_a_worker_that_can_not_be_started_is_tried_again_while_the_other_serves(serve: Callable[..., Server]) -> None:
    server = serve(web_concurrency=2)
    until(lambda: events(server).count("started") == 2)
    killed, other = processes.workers(server.process.pid)
    # Given a machine on which the master can't start a process for a while
    with processes.nothing_to_open(server.process.pid):
        # when a worker dies, then each start of another one fails, and the remaining worker serves.
        os.kill(killed, signal.SIGKILL)
        until(lambda: events(server).count("not started") == 2)
        assert processes.workers(server.process.pid) == [other]
        assert answers(server)
    # As soon as the master can start a process, there are two again, and the server ends in good order.
    until(lambda: events(server).count("started") == 3)
    assert other in processes.workers(server.process.pid)
    assert b"Traceback" not in server.log()
    assert server.stop() == 0


async def test_what_is_in_flight_when_the_master_is_killed_is_answered(
    serve: Callable[..., Server], database_url: str
) -> None:
    server = serve(web_concurrency=2)
    until(lambda: events(server).count("started") == 2)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        users = [f"user_{number}" for number in range(8)]
        await asyncio.gather(*(client.get(PATH, headers=bearer(user)) for user in users))
        # Given changes that can't be recorded yet
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as somebody:
            await somebody.execute("SELECT pg_advisory_lock(7305114882901)")
            sent: list[str] = []

            async def trace(event: str, _: object) -> None:
                if event == "http11.send_request_body.complete":
                    sent.append(event)

            body = {"email": {"product_updates": False}}
            changing = [
                asyncio.create_task(client.patch(PATH, json=body, headers=bearer(user), extensions={"trace": trace}))
                for user in users
            ]
            async with asyncio.timeout(30):
                while len(sent) < len(users):  # noqa: ASYNC110 - the trace is a function that httpx calls
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            # when the master is killed
            server.process.kill()
            await asyncio.sleep(0.3)
        # then each is answered.
        assert [response.status_code for response in await asyncio.gather(*changing)] == [200] * 8
    server.process.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_under_nohup_a_terminal_that_hangs_up_changes_nothing(serve, workers, database_url) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = serve(web_concurrency=workers, followers="on")
    finally:
        signal.signal(signal.SIGHUP, former)
    until(lambda: events(server).count("started") == workers and "following" in events(server))
    os.killpg(server.process.pid, signal.SIGHUP)
    time.sleep(1.5)
    assert choose(server, product_updates=False).status_code == 200
    assert "stopped" not in events(server)
    assert server.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
def test_a_command_that_is_told_to_end_stops_the_database_that_it_started(folder: Path, how) -> None:
    # Given a command that has just started an embedded PostgreSQL
    command = subprocess.Popen(
        [COMMAND, "migrate"], env=environment(data_dir=folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    postmaster = 0
    while not postmaster:
        assert command.poll() is None
        for file in folder.glob("postgres/*/postmaster.pid"):
            lines = file.read_text().splitlines()
            if lines[7:] == ["ready   "]:
                postmaster = int(lines[0])
        time.sleep(0.002)
    # when it is told to end, then it ends in failure, and the database with it.
    command.send_signal(how)
    _, said = command.communicate(timeout=30)
    assert command.returncode == 128 + how, said
    assert not processes.lives(postmaster)


def test_a_worker_that_gets_no_core_for_some_seconds_is_left_alone(serve) -> None:
    # Given two workers, of which one stands still for longer than the 5 s that uvicorn waits by itself, as on a starved machine
    server = serve(web_concurrency=2)
    until(lambda: events(server).count("started") == 2)
    workers = processes.workers(server.process.pid)
    frozen = processes.freeze(workers[0])
    time.sleep(7)
    # when it goes on,
    processes.send(signal.SIGCONT, frozen)
    # then it was not replaced: a worker that is starved while it starts would be replaced for ever.
    time.sleep(1)
    assert processes.workers(server.process.pid) == workers
    assert httpx.get(f"{server.url}/healthz").status_code == 200
