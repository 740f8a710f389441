"""SIGTERM behind a balancer: the service goes on for as long as requests can still come, and no request is cut off."""

import asyncio
import signal
import socket
import time
from itertools import count

import httpx
import pytest

from tests.support.catalogues import publish
from tests.support.figures import figures
from tests.support.keep_alive import KeepAlive, NoReply
from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

CHANGES = [{"email": {"weekly_usage_digest": True}}, {"email": {"weekly_usage_digest": False}}]
worker_counts = pytest.mark.parametrize("workers", [1, 2])
OTHERS = 10
WHOLE_STOP = 30.0


def terminate(server: Server, how: signal.Signals = signal.SIGTERM) -> float:
    server.process.send_signal(how)
    return time.monotonic()


async def stopped(server: Server, since: float) -> float:
    assert await asyncio.to_thread(server.process.wait, WHOLE_STOP) == 0
    return time.monotonic() - since


@worker_counts
async def test_a_balancer_that_watches_readyz_loses_no_request(serve, workers: int, record_property) -> None:
    # Given a balancer that looks every quarter of a second, and clients who change something all the time
    server = serve(drain=2, web_concurrency=workers, log_level="warning")
    await publish(server.database_url)
    turned_away = asyncio.Event()
    answered, lost, closing = count(), [], count()

    async def watch() -> None:
        async with httpx.AsyncClient(base_url=server.url) as probe:
            while (await probe.get("/readyz", headers={"Connection": "close"})).status_code == 200:  # noqa: ASYNC110 - a balancer is told in no other way
                await asyncio.sleep(0.25)
        turned_away.set()

    async def change_to_and_fro(user: str) -> None:
        async with KeepAlive(server.url) as connection:
            token = bearer(user)
            for number in count():
                if turned_away.is_set():
                    return
                try:
                    reply = await connection.patch(token, CHANGES[number % 2])
                except NoReply as error:
                    lost.append(repr(error.__cause__))
                    continue
                assert reply.status == 200
                next(answered)
                if reply.headers.get("connection") == "close":
                    next(closing)

    load = asyncio.gather(watch(), *(change_to_and_fro(f"user_{number}") for number in range(OTHERS)))
    await asyncio.sleep(1)
    assert not turned_away.is_set()
    # when the service is told to stop
    since = terminate(server)
    # then all that the balancer still sends is answered, and nothing after that.
    await load
    assert lost == []
    assert next(answered) > OTHERS
    assert next(closing) > 0
    assert "is about to stop" in (await asyncio.to_thread(httpx.get, f"{server.url}/readyz")).text
    seconds = await stopped(server, since)
    assert 2 <= seconds < WHOLE_STOP
    figures(record_property, answered=next(answered) - 1, seconds_until_end=round(seconds, 1))


@soak
@pytest.mark.parametrize(
    ("drain", "workers"), rounds([(0, 2), (1, 1)], [(drain, workers) for drain in (0, 1) for workers in (1, 2)])
)
async def test_a_connection_in_use_is_never_reset_in_the_middle_of_a_request(serve, workers: int, drain: int) -> None:
    # Given connections that are never idle for long
    server = serve(drain=drain, web_concurrency=workers, log_level="warning")
    last_words: list[bytes] = []
    served: set[str] = set()

    async def use(user: str) -> None:
        token = bearer(user)
        async with connected(server.url) as connection:
            while True:
                await asyncio.sleep(0.002)  # so that at any moment most of them are idle, as the service sees it
                await connection.send(request_head("GET", PATH, *token.items()))
                # when the service is told to stop, then each request is answered,
                answer = await connection.answer()
                assert answer.status == 200
                served.add(user)
                if answer.headers.get("connection") == "close":
                    # and the last one says that it is the last one.
                    last_words.append(await connection.rest())
                    return

    using = asyncio.gather(*(use(f"user_{number}") for number in range(OTHERS)))
    while len(served) < OTHERS:  # noqa: ASYNC110 - simpler than an event for each
        await asyncio.sleep(0.01)
    since = terminate(server)
    await using
    assert last_words == [b""] * OTHERS
    await stopped(server, since)


@worker_counts
async def test_while_a_process_finishes_its_requests_new_connections_are_refused_and_do_not_wait(
    serve, workers: int
) -> None:
    # Given a process that is told to stop while a client is still sending
    server = serve(drain=0, web_concurrency=workers)
    port = int(server.url.rpartition(":")[2])
    async with connected(server.url) as connection:
        await connection.send(request_head("PATCH", PATH, *bearer().items(), ("Content-Length", "40")))
        await asyncio.sleep(0.3)
        since = terminate(server)
        # then others soon get no connection, which the process would never serve.
        async with asyncio.timeout(4):
            while await asyncio.to_thread(is_open, port):  # noqa: ASYNC110 - the kernel has no event for it
                await asyncio.sleep(0.05)
        assert server.process.poll() is None
        await stopped(server, since)


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_ctrl_c_waits_for_no_balancer(serve) -> None:
    server = serve(drain=20)
    assert await stopped(server, terminate(server, signal.SIGINT)) < 5


async def test_ctrl_c_ends_a_drain(serve) -> None:
    server = serve(drain=20)
    terminate(server)
    await asyncio.sleep(0.5)
    assert (await asyncio.to_thread(httpx.get, f"{server.url}/healthz")).status_code == 200
    assert await stopped(server, terminate(server, signal.SIGINT)) < 5


@pytest.mark.parametrize("half", [b"", b"GET /heal", b"PATCH"], ids=["nothing", "a head", "a body"])
async def test_a_client_that_sends_no_more_does_not_keep_the_service_from_ending(serve, half: bytes) -> None:
    server = serve()
    if half == b"PATCH":
        half = request_head("PATCH", PATH, *bearer().items(), ("Content-Length", "40"))
    async with connected(server.url) as connection:
        await connection.send(half)
        await asyncio.sleep(0.3)
        assert await stopped(server, terminate(server)) < 10


async def test_the_stream_of_events_goes_on_until_the_listener_closes(serve) -> None:
    server = serve(drain=2, feed_heartbeat=0.2, role_scopes="admin=events:read")
    headers = {**bearer(role="admin"), "Accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=10) as client,
        client.stream("GET", "/v1/events", headers=headers) as stream,
    ):
        pieces = stream.aiter_text()
        await anext(pieces)
        since = terminate(server)
        heard = [time.monotonic() - since async for _ in pieces]
    assert heard[-1] > 1.5
    await stopped(server, since)
