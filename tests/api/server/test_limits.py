"""What a client may send, and how long it may take to, before anybody knows who it is."""

import asyncio
import json
import time

import psycopg
import pytest

from tests.support.raw_connection import RawConnection, chunked, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

LIMIT = 16 * 1024
WITHIN, KEPT = 1.0, 3.0
LATE = 3.0
"""Seconds by which the server's look, once in a second, and a busy machine may be late."""
CHANGE = b'{"email": {"weekly_usage_digest": true}}'
LOCK = "SELECT pg_advisory_lock(7305114882901)"


@pytest.fixture(scope="module")
def strict(new_database):
    limits = {"header_limit": LIMIT, "header_within": WITHIN, "body_within": WITHIN, "keep_alive": KEPT}
    with Server(new_database(), **limits) as running:
        yield running


def error_of(body: bytes) -> str:
    return json.loads(body)["error"]["code"]


def padded(length: int, name: str = "X-Padding") -> bytes:
    """The head of a request, of just this length of path, names, values and what is between them."""
    bare = request_head("GET", "/healthz", (name, ""))
    counted = len(bare) - len(b"GET  HTTP/1.1\r\n\r\n")
    return request_head("GET", "/healthz", (name, "x" * (length - counted)))


TOO_LARGE = {
    "a header": padded(LIMIT + 1),
    "a large header": padded(50 * LIMIT),
    "many headers": request_head("GET", "/healthz", *((f"X-{number}", "x" * 100) for number in range(200))),
    "a name": padded(0)[:-5] + b"x" * LIMIT * 2 + b": x\r\n\r\n",
    "an address": request_head("GET", "/healthz?" + "x" * LIMIT * 2),
    "a head that never ends": padded(3 * LIMIT)[:-4],
    "empty lines": b"\r\n" * LIMIT,
}


@pytest.mark.parametrize("size", [1000, LIMIT, 1 << 20], ids=["small pieces", "pieces", "at once"])
@pytest.mark.parametrize("head", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_head_that_is_too_large_is_refused_before_it_is_known_who_calls(strict, head: bytes, size: int) -> None:
    async with connected(strict.url) as connection:
        sending = asyncio.create_task(
            connection.send(*(head[at : at + size] for at in range(0, len(head), size)), pause=0.001)
        )
        answer = await connection.answer()
        await asyncio.gather(sending, return_exceptions=True)
    assert (answer.status, error_of(answer.body)) == (431, "HEADERS_TOO_LARGE")
    assert answer.headers["connection"] == "close"
    assert len(answer.headers["x-request-id"]) == 26


@pytest.mark.parametrize("size", [100, 1 << 20], ids=["in pieces", "at once"])
async def test_a_head_of_just_that_size_is_served_again_and_again(strict, size: int) -> None:
    async with connected(strict.url) as connection:
        for head in (padded(LIMIT), padded(0), padded(LIMIT)):
            await connection.send(*(head[at : at + size] for at in range(0, len(head), size)), pause=0.001)
            assert (await connection.answer()).status == 200
        # Many of them in one packet are many, and not a large one.
        await connection.send(padded(LIMIT - 100) * 5)
        assert [(await connection.answer()).status for _ in range(5)] == [200] * 5


async def test_a_large_body_in_many_packets_is_no_head(strict) -> None:
    question = {
        "channel": "email",
        "toggle": "product_updates",
        "users": [f"user_{'x' * 100}{at}" for at in range(3_000)],
    }
    body = json.dumps(question).encode()
    async with connected(strict.url) as connection:
        for framed, sent in (
            (("Content-Length", str(len(body))), body),
            (("Transfer-Encoding", "chunked"), chunked(body, *[1_000] * 400)),
        ):
            head = request_head("POST", "/v1/decisions", *bearer().items(), framed)
            await connection.send(head, *(sent[at : at + 9_999] for at in range(0, len(sent), 9_999)))
            assert (await connection.answer()).status == 403
            await connection.send(padded(0))
            assert (await connection.answer()).status == 200


async def test_trailers_are_limited_like_headers(strict) -> None:
    for caller, status in ((bearer("user_trailing"), 431), ({}, 401)):
        head = request_head("PATCH", PATH, *caller.items(), ("Transfer-Encoding", "chunked"))
        endless = chunked(CHANGE).removesuffix(b"\r\n") + b"X-Padding: "
        async with connected(strict.url) as connection:
            await connection.send(head + endless)
            sending = asyncio.create_task(connection.send(*[b"x" * 1000] * 100, pause=0.001))
            assert (await connection.answer()).status == status
            assert await connection.rest(patience=WITHIN + LATE) == b""
            await asyncio.gather(sending, return_exceptions=True)


async def closed_after(connection: RawConnection) -> tuple[float, bytes]:
    began = time.monotonic()
    received = await connection.rest(patience=WITHIN + KEPT + LATE)
    return time.monotonic() - began, received


async def test_a_new_connection_that_says_nothing_is_closed_without_a_word(strict) -> None:
    before = len(strict.log())
    async with connected(strict.url) as connection:
        seconds, received = await closed_after(connection)
    assert received == b""
    assert WITHIN <= seconds < WITHIN + LATE
    assert strict.log(before) == b""


HALF = {
    "a letter": b"G",
    "a line": b"GET /healthz HTTP/1.1\r\n",
    "all but the end": padded(0)[:-2],
    "a body": request_head("PATCH", PATH, *bearer("user_half").items(), ("Content-Length", "40")) + CHANGE[:10],
    "an announced body": request_head("PATCH", PATH, *bearer("user_half").items(), ("Content-Length", "40")),
    "a chunk": request_head("PATCH", PATH, *bearer("user_half").items(), ("Transfer-Encoding", "chunked")) + b"5\r\n{}",
}


@pytest.mark.parametrize("served_before", [0, 1])
@pytest.mark.parametrize("half", HALF.values(), ids=HALF)
async def test_half_a_request_is_told_that_it_took_too_long(strict, half: bytes, served_before: int) -> None:
    async with connected(strict.url) as connection:
        for _ in range(served_before):
            await connection.send(padded(0))
            assert (await connection.answer()).status == 200
        await connection.send(half)
        began = time.monotonic()
        answer = await connection.answer()
        assert WITHIN <= time.monotonic() - began < WITHIN + LATE
        assert (answer.status, error_of(answer.body)) == (408, "REQUEST_TIMEOUT")
        assert answer.headers["connection"] == "close"
        assert await connection.rest() == b""


@pytest.mark.parametrize("half", [padded(0)[:-2], HALF["a body"]], ids=["head", "body"])
async def test_to_send_a_little_now_and_then_gains_no_time(strict, half: bytes) -> None:
    async with connected(strict.url) as connection:
        await connection.send(half)
        began = time.monotonic()

        async def trickle() -> None:
            while True:
                await asyncio.sleep(0.1)
                await connection.send(b"x")

        trickling = asyncio.create_task(trickle())
        assert (await connection.answer()).status == 408
        assert time.monotonic() - began < WITHIN + LATE
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)


async def test_a_body_whose_request_was_refused_long_ago_is_not_waited_for(strict) -> None:
    async with connected(strict.url) as connection:
        await connection.send(request_head("PATCH", PATH, ("Content-Length", "40")))
        assert (await connection.answer()).status == 401
        seconds, received = await closed_after(connection)
    assert received == b""
    assert seconds < WITHIN + LATE


async def test_between_two_requests_a_connection_is_kept_for_as_long_as_it_is_said(strict) -> None:
    async with connected(strict.url) as connection:
        for _ in range(3):
            await connection.send(padded(0))
            assert (await connection.answer()).status == 200
            await asyncio.sleep(KEPT / 2)
        await connection.send(b"\r\n\r\n")  # what is no request gains no time
        seconds, received = await closed_after(connection)
    assert received == b""
    assert KEPT / 2 - 0.1 <= seconds < KEPT / 2 + LATE


async def test_the_time_that_the_service_takes_is_not_the_clients(strict) -> None:
    # Given a change that can't be recorded for longer than all limits, with another request behind it
    async with await psycopg.AsyncConnection.connect(strict.database_url, autocommit=True) as somebody:
        await somebody.execute(LOCK)
        async with connected(strict.url) as connection:
            head = request_head("PATCH", PATH, *bearer("user_slow").items(), ("Content-Length", str(len(CHANGE))))
            await connection.send(head + CHANGE + padded(0))
            await asyncio.sleep(WITHIN + 2)
            # when it is recorded or given up, then both are answered,
            await somebody.execute(LOCK.replace("lock", "unlock"))
            assert (await connection.answer()).status in (200, 503)
            assert (await connection.answer()).status == 200
