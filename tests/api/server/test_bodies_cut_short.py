"""A body that is shorter than announced, or not framed as announced, is no body: nothing is recorded, no success is told."""

import json
import re
from typing import Any

import pytest

from domain.preferences import stream_id
from tests.support.eventually import until
from tests.support.raw_connection import chunked, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

DECISIONS = "/v1/decisions"
CHANGE = b'{"email": {"weekly_usage_digest": true}}'
CHUNKED = ("Transfer-Encoding", "chunked")


def length(number: int) -> tuple[str, str]:
    return ("Content-Length", str(number))


# Where the beginning alone would be a whole document, or an empty one, taking it for the body would be seen as a success.
CUT_SHORT: dict[str, tuple[tuple[tuple[str, str], ...], bytes]] = {
    "nothing of a length": ((length(len(CHANGE)),), b""),
    "a document, but not the length": ((length(len(CHANGE) + 1),), CHANGE),
    "white space, but not the length": ((length(100),), b"  "),
    "no chunk at all": ((CHUNKED,), b""),
    "no last chunk": ((CHUNKED,), chunked(CHANGE).removesuffix(b"0\r\n\r\n")),
    "half of the last chunk": ((CHUNKED,), chunked(CHANGE).removesuffix(b"\r\n")),
    "half a chunk": ((CHUNKED,), chunked(CHANGE + b" " * 100)[:-60]),
    "half a size": ((CHUNKED,), chunked(CHANGE).removesuffix(b"0\r\n\r\n") + b"1"),
    "half a trailer": ((CHUNKED,), chunked(CHANGE).removesuffix(b"\r\n") + b"X-Checksum: a"),
    "an upgrade and nothing": ((("Connection", "Upgrade"), ("Upgrade", "h2c"), length(len(CHANGE))), b""),
    "an upgrade and no last chunk": ((("Connection", "Upgrade"), ("Upgrade", "h2c"), CHUNKED), b"2\r\n{}\r\n"),
    "a promise to wait": ((("Expect", "100-continue"), length(len(CHANGE))), b""),
}
MISFRAMED: dict[str, tuple[tuple[tuple[str, str], ...], bytes]] = {
    "a size that is none": ((CHUNKED,), b"xyz\r\n{}\r\n0\r\n\r\n"),
    "a size that is none, later": ((CHUNKED,), b"2\r\n{}\r\n-1\r\n\r\n"),
    "a negative size": ((CHUNKED,), b"-2\r\n{}\r\n0\r\n\r\n"),
    "an endless size": ((CHUNKED,), b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than its size": ((CHUNKED,), b"2\r\n{}}\r\n0\r\n\r\n"),
    "a chunk without its line break": ((CHUNKED,), b"2\r\n{}0\r\n\r\n"),
    "length and chunks": ((length(2), CHUNKED), chunked(CHANGE)),
    "chunks and length": ((CHUNKED, length(len(chunked(CHANGE)))), chunked(CHANGE)),
    "chunks and length zero": ((CHUNKED, length(0)), chunked(CHANGE)),
    "two lengths": ((length(0), length(len(CHANGE))), CHANGE),
    "two equal lengths": ((length(len(CHANGE)), length(len(CHANGE))), CHANGE),
    "a list of lengths": ((("Content-Length", f"{len(CHANGE)}, 0"),), CHANGE),
    "a negative length": ((length(-1),), CHANGE),
    "a length with a sign": ((("Content-Length", f"+{len(CHANGE)}"),), CHANGE),
    "a hexadecimal length": ((("Content-Length", "0x28"),), CHANGE),
    "a length that is none": ((("Content-Length", ""),), CHANGE),
    "a length beyond all numbers": ((length(1 << 64),), CHANGE),
    "an unknown coding": ((("Transfer-Encoding", "identity"),), CHANGE),
    "chunks that are not the last coding": ((("Transfer-Encoding", "chunked, gzip"),), chunked(CHANGE)),
    "chunks twice": ((CHUNKED, CHUNKED), chunked(CHANGE)),
    "a misspelt coding": ((("Transfer-Encoding", "xchunked"),), chunked(CHANGE)),
    "a white space before the colon": ((("Content-Length ", str(len(CHANGE))),), CHANGE),
    "a line break within": ((("Transfer-Encoding", "\r\n chunked"),), chunked(CHANGE)),
    "HTTP/2 without asking": ((), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
}


@pytest.fixture
def recorded(query):
    def count(user: str) -> int:
        statement = "SELECT count(*) FROM preferences_events WHERE originator_id = %s"
        return query(statement, [stream_id("org_math", user)])[0][0]

    return count


def statuses(received: bytes) -> list[int]:
    return [int(line.split()[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def requests(headers: tuple[tuple[str, str], ...], user: str) -> dict[str, bytes]:
    """Heads of everything that takes a body."""
    return {
        "PATCH": request_head("PATCH", PATH, *bearer(user).items(), *headers),
        "POST": request_head("POST", DECISIONS, *bearer(user, role="admin").items(), *headers),
    }


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize(("headers", "sent"), CUT_SHORT.values(), ids=CUT_SHORT)
async def test_a_body_that_is_cut_short_is_never_taken_for_what_came(
    server, fresh_user, recorded, headers, sent: bytes, how: str
) -> None:
    user = fresh_user()
    for head in requests(headers, user).values():
        before = len(server.log())
        async with connected(server.url) as connection:
            # When the connection ends, orderly or not, before the body does,
            await connection.send(head, sent)
            if how == "closed":
                connection.writer.write_eof()
                # then whatever is answered is no success,
                assert [status for status in statuses(await connection.rest()) if status not in (100, 400)] == []
            else:
                connection.reset()
        # and the log has a request that was not answered.
        until(lambda since=before: re.search(rb'"status":(499|400)', server.log(since)), 5)
    assert recorded(user) == 0


@pytest.mark.parametrize(("headers", "sent"), MISFRAMED.values(), ids=MISFRAMED)
@pytest.mark.parametrize("pieces", ["at once", "body later"])
async def test_a_body_that_is_not_framed_as_announced_is_refused(
    server, fresh_user, recorded, headers, sent: bytes, pieces: str
) -> None:
    user = fresh_user()
    for method, head in requests(headers, user).items():
        async with connected(server.url) as connection:
            await connection.send(*([head + sent] if pieces == "at once" else [head, sent]), pause=0.02)
            if method == "PATCH" and not headers:
                # A change without a body changes nothing; what comes after it is another request.
                assert (await connection.answer()).status == 200
            elif method == "POST" and not headers:
                assert (await connection.answer()).status == 422
            answer = await connection.answer()
            assert await connection.rest() == b""
        error: dict[str, Any] = json.loads(answer.body)["error"]
        assert (answer.status, error["code"]) == (400, "INVALID_INPUT")
        assert error["message"] == "malformed request"
        assert error["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["connection"] == "close"
    assert recorded(user) == 0


async def test_the_same_bodies_framed_well_are_recorded(server, fresh_user, recorded) -> None:
    """The control: the tests above would see a change that is recorded."""
    for headers, sent in (((length(len(CHANGE)),), CHANGE), ((CHUNKED,), chunked(CHANGE, 3, 5))):
        user = fresh_user()
        async with connected(server.url) as connection:
            await connection.send(requests(headers, user)["PATCH"], sent)
            assert (await connection.answer()).status == 200
        assert recorded(user) == 2


async def test_what_can_not_be_parsed_is_refused_after_all_that_came_before_it(server, fresh_user, recorded) -> None:
    user = fresh_user()
    change = requests((length(len(CHANGE)),), user)["PATCH"] + CHANGE
    async with connected(server.url) as connection:
        await connection.send(change + change + b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n" + change)
        answers = [await connection.answer() for _ in range(3)]
        assert await connection.rest() == b""
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert recorded(user) == 2


async def test_what_comes_after_a_body_is_no_header(server, fresh_user, recorded) -> None:
    # Given a change whose trailers say who makes it, and on which condition
    user = fresh_user()
    token = bearer(user)["Authorization"]
    anonymous = request_head("PATCH", PATH, CHUNKED)
    authorized = request_head("PATCH", PATH, CHUNKED, ("Authorization", token))
    async with connected(server.url) as connection:
        # when it is sent, then it is nobody's,
        await connection.send(anonymous + chunked(CHANGE, trailers=[("Authorization", token)]))
        assert (await connection.answer()).status == 401
        assert recorded(user) == 0
        # and without a condition, a second token, another length or an upgrade.
        trailers = [("If-Match", '"stale"'), ("Authorization", token), ("Connection", "upgrade"), ("Upgrade", "h2c")]
        for trailer in trailers:
            await connection.send(authorized + chunked(CHANGE, trailers=[trailer]))
            assert (await connection.answer()).status == 200
    assert recorded(user) == 2
