"""A process that may open no more files serves on as far as it can, and says so where it can't."""

import asyncio
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support.catalogues import publish
from tests.support.eventually import until
from tests.support.server import PATH, Server
from tests.support.tokens import bearer


@pytest.fixture
def exhausted(serve: Callable[..., Server], database_url: str) -> Iterator[tuple[Server, httpx.Client]]:
    """A server that has just started, and a connection to it: it may open nothing beside what is open."""
    asyncio.run(publish(database_url))
    server = serve()
    http = httpx.Client(base_url=server.url, timeout=10)
    assert http.get("/healthz").status_code == 200
    files = [int(file.name) for file in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    limit = next(number for number in range(max(files) + 2) if number not in files)
    _, most = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, most))
    yield server, http
    http.close()


def test_it_is_ready_as_long_as_it_reaches_the_database(exhausted: tuple[Server, httpx.Client]) -> None:
    _, http = exhausted
    assert http.get("/readyz").status_code == 200
    assert http.get("/metrics").status_code == 200
    assert http.get(PATH, headers=bearer("user_ada")).status_code == 200


def test_and_says_that_it_is_not_once_it_can_not_reach_it_any_more(exhausted, database_url: str) -> None:
    server, http = exhausted
    assert http.get("/readyz").status_code == 200
    # Given a limit below what its connections to the database need,
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (1, 64))
    # when they are ended, also one that was just being made,
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'preferences%'"
    with psycopg.connect(database_url, autocommit=True) as connection:
        # then it is not ready, and answers all the same.
        until(lambda: connection.execute(end) and http.get("/readyz").status_code == 503)
    response = http.get("/readyz")
    assert response.json()["error"]["details"]["database"] == "can't be reached"
    assert http.get(PATH, headers=bearer("user_ada")).status_code == 503
    assert http.get("/metrics").status_code == 200
    assert b"unforeseen error" not in server.log()
    # With files to open it is back.
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    until(lambda: http.get("/readyz").status_code == 200)
