"""A client that sends requests and takes no answer is served no further than the connection holds, and others are served meanwhile."""

import asyncio
from contextlib import suppress

from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.tokens import bearer

CATALOGUE = "/v1/notifications/catalogue"
MOST = 20_000
"""Requests, whose answers are far more than the kernel and the server hold for one connection."""
AT_ONCE = 10
STANDSTILL = 1.0
"""Seconds without progress after which there will be none."""


async def test_answers_that_nobody_takes_are_not_made(server, http, fresh_user) -> None:
    before = len(server.log())
    # Large, so that the kernel holds few of them.
    request = request_head("GET", CATALOGUE, *bearer(fresh_user()).items(), ("X-Padding", "x" * 8_000))

    def answered() -> int:
        return server.log(before).count(CATALOGUE.encode())

    async with connected(server.url) as connection:
        # Given a client that sends all it can, and reads nothing,
        sent = 0
        with suppress(TimeoutError):
            while sent < MOST:
                async with asyncio.timeout(STANDSTILL):
                    await connection.send(request * AT_ONCE)
                sent += AT_ONCE
        # then the server stops reading, and answers no more,
        assert sent < MOST
        served = answered()
        assert 0 < served <= sent + AT_ONCE
        await asyncio.sleep(STANDSTILL)
        assert answered() == served
        # while others are served.
        assert (await http.get("/healthz")).status_code == 200
        # When it reads at last, then it gets every answer.
        for _ in range(served):
            assert (await connection.answer()).status == 200
