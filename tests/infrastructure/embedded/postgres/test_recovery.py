"""What a killed server, starter or initdb leaves behind is no obstacle to the next start."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support.embedded_servers import IS_ROOT, await_end, in_a_child, is_running, kept

MAJOR = str(PostgresBinaries.locate().major)


def test_a_server_whose_starter_was_killed_is_found_and_then_stopped_by_the_next(first_start):
    def start_and_leave() -> str:
        server = EmbeddedPostgres(first_start)
        server.start()
        return str(server.pid)

    left = int(in_a_child(start_and_leave))
    with EmbeddedPostgres(first_start) as server:
        assert server.pid == left
        assert server.started_here
    assert not is_running(server)


def test_after_a_kill_of_the_postmaster_the_next_start_recovers_the_data(first_start):
    with EmbeddedPostgres(first_start) as killed:
        with psycopg.connect(killed.url) as connection:
            connection.execute("UPDATE kept SET word = 'committed'")
        os.kill(killed.pid, signal.SIGKILL)
        with EmbeddedPostgres(first_start) as server:
            assert server.started_here
            assert kept(server) == "committed"
            with psycopg.connect(server.url) as connection:
                connection.execute("UPDATE kept SET word = 'straße'")
            killed.stop()
            assert is_running(server), "the one who started a former server must not stop this one"


@pytest.mark.parametrize("dies", [True, False])
def test_a_server_that_dies_while_it_is_joined_is_started_again(first_start, dies):
    with EmbeddedPostgres(first_start) as dying:
        # Given a server that is reached no more, though its process is there: for a moment, this is so after each kill
        host = psycopg.conninfo.conninfo_to_dict(dying.url)["host"]
        socket = Path(str(host)) / ".s.PGSQL.5432"
        socket.rename(socket.with_suffix(".aside"))
        # when it is gone a moment later, then another one is started;
        if dies:
            threading.Timer(0.3, os.kill, [dying.pid, signal.SIGKILL]).start()
            with EmbeddedPostgres(first_start) as server:
                assert server.started_here
                assert kept(server) == "straße"
        # and when it lives on, it is none that could be replaced.
        else:
            with pytest.raises(EmbeddedPostgresError, match="turned us away"):
                EmbeddedPostgres(first_start).start()
            socket.with_suffix(".aside").rename(socket)
            assert kept(dying) == "straße"


def test_a_dead_servers_pid_that_another_process_has_by_now_is_no_obstacle(first_start):
    with EmbeddedPostgres(first_start) as killed:
        os.kill(killed.pid, signal.SIGKILL)
        await_end(killed.pid)
        file = first_start / "postgres" / MAJOR / "postmaster.pid"
        owner = {"user": file.stat().st_uid, "group": file.stat().st_gid, "extra_groups": []} if IS_ROOT else {}
        with subprocess.Popen(["sleep", "60"], **owner) as stranger:
            try:
                file.write_text("\n".join([str(stranger.pid), *file.read_text().split("\n")[1:]]))
                with EmbeddedPostgres(first_start) as server:
                    assert kept(server) == "straße"
            finally:
                stranger.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process inherit orphans")
def test_a_dead_postmaster_that_nobody_has_waited_for_is_no_obstacle(first_start):
    def be_the_parent_of_orphans() -> str:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, as the first process of a container is
        with EmbeddedPostgres(first_start) as killed:
            os.kill(killed.pid, signal.SIGKILL)
            with EmbeddedPostgres(first_start) as server:
                return kept(server)

    assert in_a_child(be_the_parent_of_orphans) == "straße"


def test_what_a_killed_initdb_left_is_no_obstacle_and_is_cleared_away(folder):
    left = folder / "postgres" / ".scratch-left" / "data"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text(f"{MAJOR}\n")
    with EmbeddedPostgres(folder) as server:
        assert is_running(server)
    assert not list((folder / "postgres").glob(".scratch*"))
