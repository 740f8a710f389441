"""`Upgrade: h2c`, as curl and Java's HttpClient send it unasked without TLS: it is ignored, and the body counts."""

import asyncio
import json
from collections.abc import Callable

import pytest

from domain.preferences import stream_id
from tests.support.counterparts import counterpart
from tests.support.raw_connection import chunked, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

DECISIONS = "/v1/decisions"
DIGEST_ON = b'{"email": {"weekly_usage_digest": true}}'
OFFERS = {
    "h2c": (
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ),
    "websocket": (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
    "several": (("Connection", "keep-alive, upgrade"), ("Upgrade", "TLS/1.0, h2c"), ("UPGRADE", "IRC/6.9")),
}
offers = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
FRAMINGS: dict[str, Callable[[bytes], tuple[tuple[str, str], bytes]]] = {
    "length": lambda body: (("Content-Length", str(len(body))), body),
    "chunked": lambda body: (("Transfer-Encoding", "chunked"), chunked(body, 7, 1)),
    "trailers": lambda body: (("Transfer-Encoding", "chunked"), chunked(body, trailers=[("X-Checksum", "abc")])),
}
framings = pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)


@pytest.fixture
def digest_events(query):
    def count(user: str) -> int:
        statement = "SELECT count(*) FROM preferences_events WHERE originator_id = %s AND topic LIKE '%%toggled%%'"
        return query(statement, [stream_id("org_math", user)])[0][0]

    return count


def patch(user: str, offer, framing, body: bytes = DIGEST_ON) -> tuple[bytes, bytes]:
    """Head and body of a change, with an offer to speak another protocol."""
    announced, sent = framing(body)
    return request_head("PATCH", PATH, *bearer(user).items(), *offer, announced), sent


def chosen(body: bytes) -> bool:
    return json.loads(body)["data"]["email"]["weekly_usage_digest"]


@offers
@framings
async def test_a_change_with_an_offered_upgrade_is_recorded(server, fresh_user, digest_events, offer, framing) -> None:
    user = fresh_user()
    async with connected(server.url) as connection:
        # When one connection carries two changes, each with the offer,
        for body, expected in ((DIGEST_ON, True), (DIGEST_ON.replace(b"true", b"false"), False)):
            head, sent = patch(user, offer, framing, body)
            await connection.send(head + sent)
            answer = await connection.answer()
            # then each is answered in the protocol that it was sent in, with the state after it.
            assert (answer.status, chosen(answer.body)) == (200, expected)
            assert "upgrade" not in answer.headers
    assert digest_events(user) == 2


@framings
async def test_it_does_not_matter_where_the_packets_end(server, fresh_user, digest_events, framing) -> None:
    # Given a request that is cut in two at each byte from the last header on, and one that comes byte by byte
    user = fresh_user()
    head, sent = patch(user, OFFERS["h2c"], framing)
    request, cuts = head + sent, range(len(head) - 60, len(head + sent))
    several = asyncio.Semaphore(10)

    async def changed(pieces: list[bytes]) -> bool:
        async with several, connected(server.url) as connection:
            await connection.send(*pieces)
            answer = await connection.answer()
            assert answer.status == 200
            return chosen(answer.body)

    # when it is sent, then the answer is that of the change, each time.
    first = fresh_user()
    byte_by_byte = b"".join(patch(first, OFFERS["h2c"], framing))
    assert await changed([byte_by_byte[at : at + 1] for at in range(len(byte_by_byte))])
    assert digest_events(first) == 1
    assert all(await asyncio.gather(*(changed([request[:cut], request[cut:]]) for cut in cuts)))
    assert digest_events(user) == 1


async def test_pipelined_requests_with_offers_are_answered_in_order(server, fresh_user, digest_events) -> None:
    user, length, in_chunks = fresh_user(), FRAMINGS["length"], FRAMINGS["chunked"]
    read = request_head("GET", PATH, *bearer(user).items())
    upgrading_read = request_head("GET", PATH, *bearer(user).items(), *OFFERS["h2c"])
    off = DIGEST_ON.replace(b"true", b"false")
    requests = [
        read,
        b"".join(patch(user, OFFERS["h2c"], length)),
        upgrading_read,
        b"".join(patch(user, OFFERS["h2c"], in_chunks, off)),
        b"".join(patch(user, (), length)),
        read,
    ]
    async with connected(server.url) as connection:
        await connection.send(b"".join(requests))
        answers = [await connection.answer() for _ in requests]
    assert [(answer.status, chosen(answer.body)) for answer in answers] == [
        (200, expected) for expected in (False, True, True, False, True, True)
    ]
    assert digest_events(user) == 3


async def test_thousands_of_offers_in_one_packet_are_served_too(server) -> None:
    number = 2_000
    request = request_head("GET", "/healthz", ("Connection", "Upgrade"), ("Upgrade", "h2c"))
    async with connected(server.url) as connection:
        await connection.send(request * number)
        assert {(await connection.answer()).status for _ in range(number)} == {200}


@framings
async def test_a_decision_is_asked_with_the_body_that_was_sent(server, fresh_user, framing) -> None:
    question = {"channel": "email", "toggle": "weekly_usage_digest", "users": [fresh_user()]}
    announced, sent = framing(json.dumps(question).encode())
    caller = bearer("user_admin", role="admin").items()
    async with connected(server.url) as connection:
        await connection.send(request_head("POST", DECISIONS, *caller, *OFFERS["h2c"], announced) + sent)
        answer = await connection.answer()
    assert answer.status == 200
    assert [decision["user"] for decision in json.loads(answer.body)["data"]["decisions"]] == question["users"]


async def test_a_large_body_behind_an_offer_is_still_too_large(server, fresh_user, digest_events) -> None:
    user = fresh_user()
    head, sent = patch(user, OFFERS["h2c"], FRAMINGS["chunked"], DIGEST_ON.ljust(20_000))
    async with connected(server.url) as connection:
        await connection.send(head, sent)
        assert (await connection.answer()).status == 413
    assert digest_events(user) == 0


@pytest.mark.parametrize("how", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
async def test_curl_speaking_http2_without_tls_changes_what_it_says(server, fresh_user, digest_events, how) -> None:
    curl = counterpart("curl", "curl isn't there: install Debian's curl")
    user = fresh_user()
    token = f"Authorization: {bearer(user)['Authorization']}"
    command = [curl, "-sS", "--http2", "-X", "PATCH", *how, "-H", token, "-d", DIGEST_ON.decode(), server.url + PATH]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert chosen(output)
    assert digest_events(user) == 1
