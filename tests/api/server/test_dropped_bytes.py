"""Clients that send on and on, to a request that is answered: the server reads them slowly, so that it has time for others."""

import asyncio
import time
from contextlib import suppress

import pytest

from api.server.transport import DROPPED_EACH
from tests.support.raw_connection import RawConnection, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

PIECE = 256 * 1024
"""Bytes that the event loop reads at once, at most."""
BUFFERED = 24 * 1024 * 1024
"""Bytes that fit between the two programs, at most: what the kernel keeps for the client and for the server, and a piece."""
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
ENDLESS = {
    "a header": (431, request_head("GET", PATH, ("X-Padding", ""))[:-4], b"x" * 0x10000),
    "a body without a token": (401, request_head("PATCH", PATH, ("Content-Length", "999999999")), b"x" * 0x10000),
    "chunks without a token": (401, request_head("PATCH", PATH, ("Transfer-Encoding", "chunked")), CHUNK),
    "a body that is too large": (
        413,
        request_head("PATCH", PATH, *bearer("user_large").items(), ("Content-Length", "999999999")),
        b"x" * 0x10000,
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_is_dropped_is_read_slowly(server, name: str) -> None:
    # Given a request that was answered before its end,
    status, begun, more = ENDLESS[name]
    async with connected(server.url) as connection:
        await connection.send(begun, more)
        assert (await connection.answer()).status == status
        # when its client sends on as fast as it can, for some time or until the server hangs up,
        began = time.monotonic()
        sent = await send_on(connection, more, until=began + 0.5)
        # then the server has read no more than a piece at a time.
        assert sent <= BUFFERED + PIECE * (time.monotonic() - began) / DROPPED_EACH


async def send_on(connection: RawConnection, more: bytes, *, until: float) -> int:
    """The bytes that were sent."""
    sent = 0
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
            while True:
                await connection.send(more)
                sent += len(more)
                # `drain` waits for nothing as long as there is room. Others need a turn, and the time limit, too.
                await asyncio.sleep(0)
    return sent
