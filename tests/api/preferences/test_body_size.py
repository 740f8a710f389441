"""How large the body of a PATCH may be."""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.support.patch_bodies import DIGEST_ON, in_chunks, padded
from tests.support.raw_http import exchange, request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

LIMIT = 16 * 1024


async def test_16_kib_are_read(http, fresh_user, events_of) -> None:
    for content in (padded(LIMIT), in_chunks(padded(LIMIT)), b" " * (LIMIT - len(DIGEST_ON)) + DIGEST_ON):
        user = fresh_user()
        response = await http.patch(PATH, content=content, headers=bearer(user))
        assert response.status_code == 200
        assert response.json()["data"]["email"]["weekly_usage_digest"] is True
        assert events_of(user) == 2


async def test_a_byte_more_than_16_kib_is_too_large(refused) -> None:
    await refused(padded(LIMIT + 1), "PAYLOAD_TOO_LARGE", None)


@pytest.mark.parametrize("body", [b" " * (LIMIT + 1), b"{" * (LIMIT + 1), b"\xff" * 100_000], ids=len)
async def test_a_large_body_is_too_large_whatever_it_says(refused, body: bytes) -> None:
    await refused(body, "PAYLOAD_TOO_LARGE", None)


def test_a_large_body_in_chunks_is_refused_as_soon_as_it_is_too_large(server, fresh_user, events_of) -> None:
    user = fresh_user()
    head = request_head("PATCH", PATH, *bearer(user).items(), ("Transfer-Encoding", "chunked"))
    chunk = b"400\r\n" + padded(1024) + b"\r\n"

    # The last chunk never comes: an answer means that nobody waited for it.
    answer = exchange(server.url, head + chunk * 16 + b"1\r\n \r\n")

    assert answer.status == 413
    assert json.loads(answer.body)["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert answer.closed
    assert events_of(user) == 0


def test_who_sends_all_of_a_large_body_first_reads_the_refusal_then(server, fresh_user) -> None:
    piece = b" " * (1 << 16)
    head = request_head("PATCH", PATH, *bearer(fresh_user()).items(), ("Content-Length", str(32 * len(piece))))
    address = urlsplit(server.url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(head)
            for _ in range(32):
                connection.sendall(piece)  # a connection that was reset meanwhile raises here
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"PAYLOAD_TOO_LARGE"' in answer


@pytest.mark.parametrize("more", [(), (("Expect", "100-continue"),)], ids=["plain", "expecting 100"])
def test_a_gigabyte_that_is_only_announced_is_refused_at_once(server, fresh_user, more) -> None:
    head = request_head("PATCH", PATH, *bearer(fresh_user()).items(), ("Content-Length", str(1 << 30)), *more)
    began = time.monotonic()
    answer = exchange(server.url, head)
    assert time.monotonic() - began < 1
    assert answer.status == 413
    error = json.loads(answer.body)["error"]
    assert error == {
        "code": "PAYLOAD_TOO_LARGE",
        "message": "request body too large",
        "request_id": answer.headers["x-request-id"],
    }
    assert answer.closed


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "application/merge-patch+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "image/png",
        "nonsense",
    ],
)
async def test_json_is_assumed_whatever_the_content_type_says(http, fresh_user, content_type: str | None) -> None:
    headers = bearer(fresh_user()) | ({} if content_type is None else {"Content-Type": content_type})
    response = await http.patch(PATH, content=DIGEST_ON, headers=headers)
    assert response.status_code == 200
    assert response.json()["data"]["email"]["weekly_usage_digest"] is True
