"""SIGTERM, Ctrl-C, and a terminal that hangs up, finish what is in flight: what was accepted is answered and recorded, then all ends well."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from api.command_line.companion import GRACE
from api.command_line.serve import STOP_WITHIN
from domain.preferences import stream_id
from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support import processes
from tests.support.clusters import ReadyCluster
from tests.support.figures import figures
from tests.support.folded_log import Answered, FoldedLog
from tests.support.keep_alive import KeepAlive, NoReply, Reply
from tests.support.server import Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

LOCK = "SELECT pg_advisory_lock(7305114882901)"
UNLOCK = "SELECT pg_advisory_unlock(7305114882901)"
CHANGE = {"email": {"weekly_usage_digest": True}}

SUPERVISOR = 30
"""Seconds that a supervisor usually gives a process to end, before it kills it."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ALL = [(how, workers) for how in SIGNALS for workers in (1, 2)]
EACH_ONCE = [(signal.SIGTERM, 2), (signal.SIGINT, 1), (signal.SIGHUP, 2)]
endings = pytest.mark.parametrize(
    ("how", "workers"), rounds(EACH_ONCE, ALL), ids=lambda value: getattr(value, "name", value)
)
worker_counts = pytest.mark.parametrize("workers", [1, 2])


@asynccontextmanager
async def embedded(
    ready_cluster: ReadyCluster, folder: Path, workers: int
) -> AsyncIterator[tuple[Server, EmbeddedPostgres]]:
    """A server over an embedded PostgreSQL that it starts itself, and a look at that PostgreSQL."""
    server = Server("", data_dir=ready_cluster.copy_to(folder / "data"), web_concurrency=workers, log_level="info")
    await asyncio.to_thread(server.__enter__)
    try:
        look = EmbeddedPostgres(folder / "data")
        look.start()
        assert not look.started_here
        await all_connected(look.url, workers, "preferences feed")  # one for each worker
        yield server, look
    finally:
        await asyncio.to_thread(server.__exit__)


async def all_connected(url: str, number: int, application: str) -> None:
    """Return once every worker has come so far: the first one answers while another one may still be starting."""
    query = f"SELECT FROM pg_stat_activity WHERE application_name LIKE '{application}'"
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while len(await (await connection.execute(query)).fetchall()) < number:  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.02)


def tell(server: Server, how: signal.Signals) -> None:
    """A supervisor tells the first process; a terminal, at Ctrl-C or when it hangs up, all of them."""
    (os.kill if how == signal.SIGTERM else os.killpg)(server.process.pid, how)


@soak
@endings
async def test_what_is_in_flight_is_answered_and_recorded_and_then_the_database_stops_too(
    how, workers, ready_cluster, folder, record_property
) -> None:
    users = [f"user_{how.name}_{workers}_{number}" for number in range(20)]
    async with embedded(ready_cluster, folder, workers) as (server, postgres), AsyncExitStack() as open_connections:
        connections = [await open_connections.enter_async_context(KeepAlive(server.url)) for _ in users]
        for connection in connections:
            assert (await connection.get(path="/healthz")).status == 200
        # Given changes that can't be recorded yet
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as somebody:
            await somebody.execute(LOCK)
            changing = [
                asyncio.create_task(connection.patch(bearer(user), CHANGE))
                for connection, user in zip(connections, users, strict=True)
            ]
            await asyncio.sleep(0.1)
            # when the server is told to stop
            tell(server, how)
            await asyncio.sleep(0.3)
            assert not any(change.done() for change in changing)
            await somebody.execute(UNLOCK)
        # then each of them is answered,
        replies = await asyncio.gather(*changing)
        assert [reply.status for reply in replies] == [200] * len(users)
        # the exit code says that all is well, and the database has been stopped.
        assert await asyncio.to_thread(server.process.wait, 20) == 0
        assert not processes.lives(postgres.pid)
        assert b"Traceback" not in server.log(), server.log().decode()
    # And when it is started again, then all of it is there.
    started = time.monotonic()
    async with embedded(ready_cluster, folder, workers) as (server, postgres):
        async with KeepAlive(server.url) as connection:
            assert (await connection.get(bearer(users[0]))).preferences["email"]["weekly_usage_digest"] is True
        figures(record_property, second_start_until_first_200=round(time.monotonic() - started, 2))
        log = FoldedLog(postgres.url)
    assert log.faults == []
    answers = [
        Answered(stream_id("org_math", user), reply.request_id, reply.preferences, {"email.weekly_usage_digest": True})
        for user, reply in zip(users, replies, strict=True)
    ]
    assert log.missing(answers) == []
    assert log.missing([Answered(answers[0].stream, "never said", {}, {})]) == ["never said"]


@soak
@endings
async def test_who_is_told_again_and_again_still_stops_what_it_started(how, workers, ready_cluster, folder) -> None:
    async with embedded(ready_cluster, folder, workers) as (server, postgres):
        deadline = time.monotonic() + 20
        while server.process.poll() is None:
            with suppress(ProcessLookupError):  # it may just have ended
                tell(server, how)
            await asyncio.sleep(0.002)
            assert time.monotonic() < deadline
        assert server.process.returncode == 0
        assert not processes.lives(postgres.pid)
        assert b"Traceback" not in server.log(), server.log().decode()


@soak
@pytest.mark.parametrize(
    ("how", "after"),
    rounds(
        [(signal.SIGINT, 0.0), (signal.SIGHUP, 0.2), (signal.SIGINT, 0.8)],
        [(how, after) for how in (signal.SIGINT, signal.SIGHUP) for after in (0.0, 0.1, 0.2, 0.4, 0.8, 1.2)],
    ),
    ids=lambda value: getattr(value, "name", value),
)
def test_a_terminal_may_end_it_while_workers_are_still_starting(how, after, database_url) -> None:
    server = Server(database_url, web_concurrency=3)
    server.launch()
    try:
        deadline = time.monotonic() + 20
        while b"documentation" not in server.log():  # the last that is said before workers are started
            time.sleep(0.005)
            assert time.monotonic() < deadline
        time.sleep(after)
        tell(server, how)
        assert server.process.wait(20) == 0
        assert b"Traceback" not in server.log(), server.log().decode()
    finally:
        server.__exit__()


@worker_counts
async def test_under_load_nobody_is_told_of_a_failure_and_nothing_that_was_acknowledged_is_lost(
    workers, serve, database_url, record_property
) -> None:
    # Given users who change something all the time
    server = serve(web_concurrency=workers, log_level="warning")
    replies: list[Reply] = []

    async def change_to_and_fro(user: str) -> None:
        token = bearer(user)
        async with KeepAlive(server.url) as connection:
            while True:
                for enabled in (True, False):
                    try:
                        replies.append(await connection.patch(token, {"email": {"weekly_usage_digest": enabled}}))
                    except NoReply:
                        return

    changing = asyncio.gather(*(change_to_and_fro(f"user_{number}") for number in range(10)))
    await asyncio.sleep(0.5)
    # when the server is told to stop
    tell(server, signal.SIGTERM)
    await changing
    # then whoever got an answer got a good one, and that is recorded.
    assert {reply.status for reply in replies} == {200}
    assert await asyncio.to_thread(server.process.wait, 20) == 0
    log = FoldedLog(database_url)
    assert log.faults == []
    assert [reply.request_id for reply in replies if reply.request_id not in log.events_of] == []
    figures(record_property, acknowledged=len(replies), recorded=len(log.events_of))


async def test_a_database_that_says_nothing_does_not_keep_the_server_from_ending(
    ready_cluster, folder, record_property
) -> None:
    with EmbeddedPostgres(ready_cluster.copy_to(folder / "frozen")) as postgres:
        # Given a change that PostgreSQL, which has been frozen, will never answer
        server = Server(postgres.url, followers="on", log_level="warning")
        with server:
            async with KeepAlive(server.url) as connection:
                assert (await connection.get(bearer("user_ada"))).status == 200
                await all_connected(postgres.url, 1, "preferences follower%")
                frozen = processes.freeze(postgres.pid)
                try:
                    assert (await connection.patch(bearer("user_ada"), CHANGE)).status == 503
                    # when the server is told to stop, then it stops all the same.
                    started = time.monotonic()
                    tell(server, signal.SIGTERM)
                    assert await asyncio.to_thread(server.process.wait, SUPERVISOR) == 0
                    figures(record_property, seconds_until_end=round(time.monotonic() - started, 1))
                finally:
                    processes.thaw(frozen)


def test_all_that_has_a_time_limit_at_the_end_ends_before_a_supervisor_kills_it() -> None:
    assert STOP_WITHIN + GRACE < SUPERVISOR
