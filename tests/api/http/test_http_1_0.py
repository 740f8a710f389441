"""Clients of HTTP/1.0, which don't know chunks: an answer of unknown length ends with the connection."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.counterparts import counterpart
from tests.support.events import catalogue_published
from tests.support.events_client import EVENTS, events_key
from tests.support.filled_log import Chance, put, take_in
from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

ORGANIZATION = "org_math"
LINES, ROWS, STREAM = "application/x-ndjson", "text/csv", "text/event-stream"
CHANGE = b'{"email": {"weekly_usage_digest": true}}'

streamed = pytest.mark.parametrize(
    ("path", "form"), [(EVENTS, LINES), ("/v1/audit-log", LINES), ("/v1/audit-log", ROWS)]
)


@pytest.fixture(scope="module")
def server(new_database: Callable[[], str]) -> Iterator[Server]:
    """A service with events of an organization, all of them in the audit log's index."""
    url = new_database()
    put(url, [catalogue_published(1), *Chance(14).events(60)])
    asyncio.run(take_in(url))
    with Server(url, followers="off") as running:
        yield running


@pytest.fixture
async def callers(server: Server) -> dict[str, dict[str, str]]:
    """Who may read each path."""
    admin = bearer("user_grace", ORGANIZATION, role="admin")
    return {EVENTS: await events_key(server.database_url, ORGANIZATION), "/v1/audit-log": admin}


def old(head: bytes) -> bytes:
    return head.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)


def split(answer: bytes) -> tuple[int, httpx.Headers, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), httpx.Headers([tuple(line.split(": ", 1)) for line in lines]), body


@streamed
async def test_lines_come_as_they_are_and_end_with_the_connection(server, http, callers, path: str, form: str) -> None:
    # Given what a client of HTTP/1.1 is answered, in chunks
    headers = {**callers[path], "Accept": form}
    chunked = await http.get(path, headers=headers)
    assert chunked.headers["transfer-encoding"] == "chunked"
    assert len(chunked.content.splitlines()) > 10
    # when a client of HTTP/1.0 asks, whether it would keep the connection or not,
    for kept in ({}, {"Connection": "keep-alive"}):
        async with connected(server.url) as connection:
            await connection.send(old(request_head("GET", path, *headers.items(), *kept.items())))
            status, said, body = split(await connection.rest())
        # then it is sent just these bytes, and the end of the connection is their end.
        assert (status, body) == (200, chunked.content)
        assert said["connection"] == "close"
        assert not {"transfer-encoding", "content-length"} & set(said)


@streamed
async def test_curl_reads_all_lines(server, http, callers, path: str, form: str) -> None:
    curl = counterpart("curl", "curl isn't there: install Debian's curl")
    headers = {**callers[path], "Accept": form}
    options = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    # curl takes chunks from HTTP/1.0, too; `--raw` lets it keep the bytes as they come.
    command = [curl, "-sS", "--http1.0", "--raw", "--max-time", "10", *options, server.url + path]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    read, _ = await process.communicate()
    assert process.returncode == 0
    assert read == (await http.get(path, headers=headers)).content


async def test_a_live_stream_comes_as_it_is(server, callers) -> None:
    headers = {**callers[EVENTS], "Accept": STREAM}
    async with connected(server.url) as connection:
        await connection.send(old(request_head("GET", EVENTS, *headers.items())))
        told = b""
        while b"weekly_usage_digest" not in told:
            told += await connection.piece()
    status, said, body = split(told)
    assert (status, "transfer-encoding" in said) == (200, False)
    assert body.startswith(b"retry: ")


async def test_an_answer_of_known_length_says_it(server, fresh_user) -> None:
    head = request_head("PATCH", PATH, *bearer(fresh_user()).items(), ("Content-Length", str(len(CHANGE))))
    async with connected(server.url) as connection:
        await connection.send(old(head) + CHANGE)
        status, said, body = split(await connection.rest())
    answer: dict[str, Any] = json.loads(body)
    assert (status, answer["data"]["email"]["weekly_usage_digest"]) == (200, True)
    assert int(said["content-length"]) == len(body)
