"""A proxy sends a request on a connection that the service closes at that moment because it was idle: the request is answered whole, or it
has no effect and not one byte of an answer. Then a proxy may send it again on another connection."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from tests.support import processes
from tests.support.keep_alive import KeepAlive
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

KEPT = 1
"""Seconds for which the service keeps an idle connection. It looks at its connections every second."""

BODY = json.dumps({"email": {"weekly_usage_digest": True}}).encode()


def change(user: str) -> bytes:
    lines = [f"PATCH {PATH} HTTP/1.1", "Host: test", f"Content-Length: {len(BODY)}"]
    lines += [f"{name}: {value}" for name, value in bearer(user).items()]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


class Idle:
    """A connection that a proxy keeps: one request was answered on it."""

    def __init__(self, user: str) -> None:
        self.user = user

    async def open(self, url: str) -> "Idle":
        address = urlsplit(url)
        self._reader, self._writer = await asyncio.open_connection(address.hostname, address.port)
        self._writer.write(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await self._answer()).startswith(b"HTTP/1.1 200 ")
        return self

    def send(self) -> None:
        self._writer.write(change(self.user))

    async def send_after(self, seconds: float) -> bytes:
        """The time counts from the answer to the first request."""
        await asyncio.sleep(seconds)
        self.send()
        return await self.told()

    async def send_when_closed(self) -> bytes:
        assert await self._reader.read() == b"", "an idle connection was told something"
        self.send()
        return await self.told()

    async def told(self) -> bytes:
        """The answer; or no byte, if the connection was closed."""
        try:
            return await self._answer()
        except ConnectionError:
            return b""
        finally:
            self._writer.transport.abort()

    async def _answer(self) -> bytes:
        head = await self._whole(self._reader.readuntil(b"\r\n\r\n"))
        if head == b"":
            return b""
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return head + await self._whole(self._reader.readexactly(length))

    async def _whole(self, reading: Awaitable[bytes]) -> bytes:
        try:
            async with asyncio.timeout(20):
                return await reading
        except asyncio.IncompleteReadError as error:
            cut_off = error.partial
        assert cut_off == b""
        return b""


async def answered_or_without_effect(url: str, idle: list[Idle], told: list[bytes]) -> int:
    """The number of those that were answered."""
    async with KeepAlive(url) as client:
        for connection, answer in zip(idle, told, strict=True):
            assert answer == b"" or answer.startswith(b"HTTP/1.1 200 "), answer
            preferences = (await client.get(bearer(connection.user))).preferences
            assert preferences["email"]["weekly_usage_digest"] is (answer != b"")
    return len([answer for answer in told if answer])


@soak
async def test_a_request_at_any_moment_around_the_close_is_answered_or_has_no_effect(
    serve: Callable[..., Server],
) -> None:
    server = serve(keep_alive=KEPT)
    steps = rounds(150, 3000)
    idle = [Idle(f"user_{number}") for number in range(steps)]

    async def use(number: int) -> bytes:
        connection = await idle[number].open(server.url)
        if number == steps - 1:
            return await connection.send_when_closed()
        return await connection.send_after(number / steps * 3.2)

    # when a request comes on each idle connection: at once, a little later and so on, and when it is closed
    told = await asyncio.gather(*map(use, range(steps)))
    # then some are answered and some are not, and nothing else.
    assert 0 < await answered_or_without_effect(server.url, idle, told) < steps


async def test_a_request_that_lies_there_when_the_time_is_up_is_answered_or_has_no_effect(
    serve: Callable[..., Server],
) -> None:
    server = serve(keep_alive=KEPT)
    idle = [await Idle(f"user_{number}").open(server.url) for number in range(20)]
    # given a service that was suspended, so that it finds requests and a time that is up at once
    await asyncio.sleep(1.05)  # It has looked once since, and not yet twice.
    frozen = processes.freeze(server.process.pid)
    for one in idle:
        one.send()
    await asyncio.sleep(2 * KEPT)
    processes.thaw(frozen)
    told = await asyncio.gather(*(one.told() for one in idle))
    await answered_or_without_effect(server.url, idle, told)
