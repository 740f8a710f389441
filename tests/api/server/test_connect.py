"""CONNECT: this service is no proxy."""

import json

import pytest

from tests.support.raw_connection import connected
from tests.support.raw_http import request_head


@pytest.mark.parametrize("headers", [(), (("Connection", "Upgrade"), ("Upgrade", "h2c")), (("Content-Length", "2"),)])
@pytest.mark.parametrize("address", ["example.com:443", "/v1/me/notifications"])
async def test_a_tunnel_is_refused_after_all_that_came_before_it(server, address: str, headers) -> None:
    before = len(server.log())
    async with connected(server.url) as connection:
        await connection.send(request_head("GET", "/healthz") + request_head("CONNECT", address, *headers) + b"{}")
        assert (await connection.answer()).status == 200
        answer = await connection.answer()
        assert await connection.rest() == b""
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["message"]) == (400, "malformed request")
    assert answer.headers["x-request-id"] == error["request_id"]
    assert b'"level":"error"' not in server.log(before)
