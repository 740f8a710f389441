"""The forms in which a request may name what it is for (RFC 9112, section 3.2)."""

import json

import pytest

from tests.support.raw_connection import connected
from tests.support.raw_http import request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

ABSOLUTE = {
    "http://test": 404,
    "http://test:8000": 404,
    "http://[::1]?x=1": 404,
    "http://test?": 404,
    "http://test/": 404,
    "http://test/healthz": 200,
    f"http://test{PATH}?x=1": 200,
}
"""Addresses as if the service were a proxy, and the status of the same request for the path alone. An empty path is `/`."""


async def test_an_absolute_address_is_answered_like_its_path(server, fresh_user) -> None:
    caller = bearer(fresh_user()).items()
    async with connected(server.url) as connection:
        for address, status in ABSOLUTE.items():
            await connection.send(request_head("GET", address, *caller))
            answer = await connection.answer()
            assert (address, answer.status) == (address, status)
            assert "connection" not in answer.headers


@pytest.mark.parametrize("address", ["*", "http://test"])
async def test_a_question_about_the_whole_server_is_no_malformed_request(server, address: str) -> None:
    async with connected(server.url) as connection:
        for _ in range(2):
            await connection.send(request_head("OPTIONS", address))
            answer = await connection.answer()
            assert (answer.status, json.loads(answer.body)["error"]["code"]) == (404, "NOT_FOUND")
            assert "connection" not in answer.headers


@pytest.mark.parametrize("address", ["http://", "http:///healthz", "?x=1", "test", "healthz"])
async def test_an_address_without_a_host_or_a_path_is_malformed(server, address: str) -> None:
    async with connected(server.url) as connection:
        await connection.send(request_head("GET", address))
        answer = await connection.answer()
        assert (answer.status, json.loads(answer.body)["error"]["message"]) == (400, "malformed request")
