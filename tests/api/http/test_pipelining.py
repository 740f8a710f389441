"""Requests that a client sends in one piece, without waiting for the answers, before the connection ends."""

import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.support.raw_connection import RawConnection, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

TIMES = 20


async def at_once(connection: RawConnection) -> None:
    connection.writer.close()


async def by_a_reset(connection: RawConnection) -> None:
    connection.reset()


async def after_an_answer(connection: RawConnection) -> None:
    assert (await connection.answer()).status == 200
    connection.writer.close()


async def on_one_side(connection: RawConnection) -> None:
    connection.writer.write_eof()
    await connection.rest()


ENDS = [at_once, by_a_reset, after_an_answer, on_one_side]


@pytest.mark.parametrize("number", [3, 10])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_a_client_that_hangs_up_with_requests_unanswered_is_no_error(
    server: Server,
    http: httpx.AsyncClient,
    fresh_user: Callable[[], str],
    end: Callable[[RawConnection], Awaitable[None]],
    number: int,
) -> None:
    before, caller = len(server.log()), bearer(fresh_user())
    # When clients send several requests at once and end the connection before all answers are there,
    for _ in range(TIMES):
        async with connected(server.url) as connection:
            await connection.send(request_head("GET", PATH, *caller.items()) * number)
            await end(connection)
    # then the service serves the next client,
    assert (await http.get(PATH, headers=caller)).status_code == 200
    # and its log has nothing but requests.
    lines = [json.loads(line) for line in server.log(before).splitlines()]
    assert len(lines) > TIMES
    assert [line for line in lines if (line["level"], line["event"]) != ("info", "request")] == []


async def test_all_answers_come_in_order_where_the_client_stays(server: Server, fresh_user: Callable[[], str]) -> None:
    paths = [PATH, "/v1/nowhere", f"{PATH}/history", "/healthz"] * 5
    caller = bearer(fresh_user()).items()
    async with connected(server.url) as connection:
        await connection.send(b"".join(request_head("GET", path, *caller) for path in paths))
        answers = [await connection.answer() for _ in paths]
    assert [answer.status for answer in answers] == [200, 404, 200, 200] * 5
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(paths)
