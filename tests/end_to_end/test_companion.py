"""The followers run beside `serve`: they start with it, are started again when they die, and end with it, however it ends."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import psutil
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from tests.support import processes
from tests.support.server import Server


def companion(server: Server) -> int | None:
    """The process id of the one that runs beside the server."""
    for child in psutil.Process(server.process.pid).children():
        if "--beside" in child.cmdline():
            return child.pid
    return None


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def events(server: Server) -> list[str]:
    """What was logged, in its order."""
    return [json.loads(line)["event"] for line in server.log().splitlines() if line.startswith(b"{")]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
@pytest.mark.parametrize("workers", [1, 2])
def test_they_end_after_the_last_request_and_before_the_database(folder, how, workers) -> None:
    data = folder / f"{how.name}_{workers}"
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
    assert "died" in events(server)
    assert httpx.get(f"{server.url}/healthz").status_code == 200
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
    assert "stopped following" in events(server)
    with suppress(ProcessLookupError):  # worker processes, if there are any, outlive it for a moment
        server.kill()


def test_they_can_be_left_to_somebody_else(serve: Callable[..., Server]) -> None:
    server = serve(followers="off")
    assert companion(server) is None
    server.stop()
    assert "following" not in events(server)
