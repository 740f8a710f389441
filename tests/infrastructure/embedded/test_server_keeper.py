"""A server of our own that has died is started again: a real PostgreSQL and a real NATS server, killed."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded.nats_server import NatsServer, NatsServerError
from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.server_keeper import FIRST_PAUSE, ServerKeeper
from tests.support import processes
from tests.support.eventually import until


def postgres_keeper(server: EmbeddedPostgres) -> ServerKeeper:
    return ServerKeeper("postgresql", server, EmbeddedPostgresError)


def answers(server: EmbeddedPostgres) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(server.url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not processes.lives(pid))


def test_a_killed_postgres_runs_again_at_the_same_address_and_is_stopped_in_the_end(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    with postgres_keeper(server):
        first, url = server.pid, server.url
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'committed' AS word")
        kill(first)
        until(lambda: server.pid != first and answers(server))
        assert server.url == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT word FROM kept").fetchall() == [("committed",)]
        second = server.pid
    assert not processes.lives(second)


def test_without_a_keeper_it_stays_away(folder: Path) -> None:
    """The control."""
    with EmbeddedPostgres(folder) as server:
        kill(server.pid)
        time.sleep(4 * FIRST_PAUSE)
        assert not answers(server)


def test_a_postgres_that_can_not_start_is_tried_again_until_it_can(folder: Path, capfd: pytest.CaptureFixture) -> None:
    server = EmbeddedPostgres(folder)
    with postgres_keeper(server):
        [configuration] = folder.glob("postgres/*/postgresql.conf")
        kept = configuration.read_text()
        # Given a server that has died, and that refuses its settings
        configuration.write_text(f"{kept}\nno_such_setting = 1\n")
        kill(server.pid)
        said: list[str] = []

        def told() -> bool:
            said.extend(capfd.readouterr())
            return "server did not start" in "".join(said)

        until(told)
        assert not answers(server)
        # when they are right again, then it runs.
        configuration.write_text(kept)
        until(lambda: answers(server))


def test_of_two_that_use_a_server_one_starts_it_again_and_the_other_finds_it(folder: Path) -> None:
    servers = [EmbeddedPostgres(folder), EmbeddedPostgres(folder)]
    with postgres_keeper(servers[0]), postgres_keeper(servers[1]):
        first = servers[0].pid
        kill(first)
        until(lambda: first != servers[0].pid == servers[1].pid)
        assert [server.started_here for server in servers].count(True) == 1
        assert answers(servers[0])
    assert not processes.lives(servers[0].pid)


def test_a_server_that_went_with_the_one_who_had_started_it_is_taken_over_by_the_one_who_still_needs_it(folder) -> None:
    starter, guest = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    starter.start()
    with postgres_keeper(guest):
        assert not guest.started_here
        starter.stop()
        until(lambda: guest.started_here and answers(guest))
    assert not processes.lives(guest.pid)


def test_a_killed_nats_server_runs_again_at_the_same_address(folder: Path) -> None:
    server = NatsServer(folder)
    with ServerKeeper("nats", server, NatsServerError):
        first, url = server.pid, server.url
        os.kill(first, signal.SIGKILL)
        until(lambda: server.pid != first and processes.lives(server.pid))
        until(lambda: server.started_here)
        assert server.url == url
        second = server.pid
    assert not processes.lives(second)
    shutil.rmtree(folder / "nats")
