"""What a PATCH may say: each row of the contract's table, and JSON that two readers could understand differently."""

import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from domain.preferences import stream_id
from tests.support.raw_http import exchange, request_head
from tests.support.server import PATH
from tests.support.tokens import bearer

DEFAULTS = {"product_updates": True, "delivery_alerts": True, "billing_receipts": True, "weekly_usage_digest": False}
LIMIT = 16 * 1024
DIGEST_ON = b'{"email": {"weekly_usage_digest": true}}'

REFUSALS = {
    "INVALID_INPUT": (400, "malformed JSON"),
    "PAYLOAD_TOO_LARGE": (413, "request body too large"),
    "UNKNOWN_NOTIFICATION_KEY": (422, "unknown notification key"),
    "IMMUTABLE_NOTIFICATION_KEY": (422, "immutable notification key"),
    "VALIDATION_FAILED": (422, "validation failed"),
}
UNKNOWN, IMMUTABLE, INVALID = "UNKNOWN_NOTIFICATION_KEY", "IMMUTABLE_NOTIFICATION_KEY", "VALIDATION_FAILED"
A_WRONG_TYPE = {"email.product_updates": "must be a boolean"}


@pytest.fixture
def events_of(query):
    """How many events a user's stream has, the opening one included."""

    def count(user: str) -> int:
        return query("SELECT count(*) FROM preferences_events WHERE originator_id = %s", [stream_id("org_math", user)])[
            0
        ][0]

    return count


@pytest.fixture
def refused(http, fresh_user, events_of):
    """Sends a body for a user who has chosen once, and checks that it is refused exactly so and changes nothing."""

    async def check(body: bytes, code: str, details: dict[str, str] | None) -> None:
        user = fresh_user()
        before = await http.patch(PATH, content=DIGEST_ON, headers=bearer(user))
        assert before.status_code == 200
        recorded = events_of(user)

        response = await http.patch(PATH, content=body, headers=bearer(user))

        status, message = REFUSALS[code]
        error: dict[str, Any] = {"code": code, "message": message, "request_id": response.headers["x-request-id"]}
        if details is not None:
            error["details"] = details
        assert response.status_code == status
        assert response.json() == {"success": False, "error": error}
        assert events_of(user) == recorded
        after = await http.get(PATH, headers=bearer(user))
        assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])

    return check


def toggles(**values: Any) -> bytes:
    return json.dumps({"email": values}).encode()


def padded(length: int) -> bytes:
    return DIGEST_ON.ljust(length)


async def in_chunks(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_a_toggle_that_changes_is_answered_and_recorded(http, fresh_user, events_of) -> None:
    user = fresh_user()
    response = await http.patch(PATH, content=DIGEST_ON, headers=bearer(user))
    assert response.status_code == 200
    assert response.json() == {"success": True, "data": {"email": {**DEFAULTS, "weekly_usage_digest": True}}}
    assert events_of(user) == 2  # the stream was opened, and the toggle changed


async def test_each_toggle_of_one_request_is_an_event_of_its_own_under_one_request_id(http, fresh_user, query) -> None:
    user = fresh_user()
    response = await http.patch(
        PATH, content=toggles(product_updates=False, delivery_alerts=False), headers=bearer(user)
    )
    assert response.json()["data"]["email"] == {**DEFAULTS, "product_updates": False, "delivery_alerts": False}
    states = query(
        "SELECT convert_from(state, 'UTF8') FROM preferences_events WHERE originator_id = %s ORDER BY 1",
        [stream_id("org_math", user)],
    )
    assert len(states) == 3
    assert all(response.headers["x-request-id"] in state for (state,) in states)


async def test_a_choice_that_equals_the_default_is_recorded_once(http, fresh_user, events_of) -> None:
    user = fresh_user()
    for _ in range(2):
        response = await http.patch(PATH, content=toggles(product_updates=True), headers=bearer(user))
        assert response.json()["data"]["email"] == DEFAULTS
        assert events_of(user) == 2


@pytest.mark.parametrize(
    "body", [b"", b" ", b" \t\r\n ", b"{}", b'{"email": {}}', b' {"email": {} }\n'], ids=lambda body: repr(body)
)
async def test_a_body_that_asks_for_nothing_changes_nothing(http, fresh_user, events_of, body: bytes) -> None:
    newcomer, chooser = fresh_user(), fresh_user()
    await http.patch(PATH, content=DIGEST_ON, headers=bearer(chooser))
    for user, expected, recorded in [
        (newcomer, DEFAULTS, 0),
        (chooser, {**DEFAULTS, "weekly_usage_digest": True}, 2),
    ]:
        response = await http.patch(PATH, content=body, headers=bearer(user))
        assert response.status_code == 200
        assert response.json() == {"success": True, "data": {"email": expected}}
        assert events_of(user) == recorded


ANYTHING = [True, False, None, 1, 0.5, "true", [], {}, {"email": {}}, [True]]


@pytest.mark.parametrize("value", ANYTHING, ids=json.dumps)
async def test_an_unknown_channel_is_unknown_whatever_its_value(refused, value: Any) -> None:
    await refused(json.dumps({"in_app": value}).encode(), UNKNOWN, {"in_app": "unknown channel"})


@pytest.mark.parametrize("value", ANYTHING, ids=json.dumps)
async def test_an_unknown_toggle_is_unknown_whatever_its_value(refused, value: Any) -> None:
    await refused(toggles(product_news=value), UNKNOWN, {"email.product_news": "unknown toggle"})


@pytest.mark.parametrize("value", ANYTHING, ids=json.dumps)
async def test_a_mandatory_toggle_cannot_be_changed_to_anything(refused, value: Any) -> None:
    await refused(toggles(security_alerts=value), IMMUTABLE, {"email.security_alerts": "cannot be changed"})


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        b'"true"',
        b'"false"',
        b'""',
        b"0",
        b"1",
        b"-0",
        b"1.0",
        b"0.0",
        b"1e999",
        b"9" * 5000,
        b"-" + b"9" * 5000,
        b"[]",
        b"[true]",
        b"{}",
        b'{"value": true}',
    ],
    ids=lambda value: value[:16].decode(),
)
async def test_only_a_json_boolean_is_a_boolean(refused, value: bytes) -> None:
    body = b'{"email": {"product_updates": ' + value + b"}}"
    await refused(body, INVALID, {"email.product_updates": "must be a boolean"})


@pytest.mark.parametrize("value", [b"null", b"[]", b'[{"product_updates": true}]', b'"x"', b"1", b"true", b"1e999"])
async def test_a_channel_must_be_an_object(refused, value: bytes) -> None:
    await refused(b'{"email": ' + value + b"}", INVALID, {"email": "must be an object"})


@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b'[{"email": {}}]', b'"x"', b'""', b"1", b"9" * 5000, b"1.5", b"true", b"false", b"-1e999"],
    ids=lambda body: body[:16].decode(),
)
async def test_a_body_must_be_an_object(refused, body: bytes) -> None:
    await refused(body, INVALID, {"body": "must be an object"})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="unfinished"),
        pytest.param(b'{"email": {"product_updates": tru}}', id="misspelt"),
        pytest.param(b"{'email': {}}", id="single quotes"),
        pytest.param(b'{"email": {},}', id="trailing comma"),
        pytest.param(b"{email: {}}", id="key without quotes"),
        pytest.param(b'{"email": {} /* none */}', id="comment"),
        pytest.param(b'{"email": {"product_updates": True}}', id="Python's true"),
        pytest.param(b"email=1&other=2", id="form"),
        pytest.param(b'{"email": {}, "email": {}}', id="channel twice"),
        pytest.param(
            b'{"email": {"product_updates": true}, "email": {"delivery_alerts": true}}', id="channel twice, split"
        ),
        pytest.param(b'{"email": {"product_updates": true, "product_updates": true}}', id="toggle twice, same value"),
        pytest.param(b'{"email": {"product_updates": true, "product_updates": false}}', id="toggle twice"),
        pytest.param(
            b'{"email": {"product_updates": true, "product_updat\\u0065s": false}}', id="toggle twice, escaped"
        ),
        pytest.param(b'{"in_app": {"a": [{"b": 1, "b": 1}]}}', id="twice in what is unknown anyway"),
        pytest.param(b'{"": 1, "": 1}', id="empty key twice"),
        pytest.param(b"{}{}", id="two documents"),
        pytest.param(b'{"email": {}} x', id="text after"),
        pytest.param(b"{}\x00", id="NUL after"),
        pytest.param(b"\x00", id="NUL"),
        pytest.param(b"{}\x0c", id="form feed after"),
        pytest.param(b"\x0b", id="vertical tab is no white space"),
        pytest.param("\u00a0".encode(), id="no-break space is no white space"),
        pytest.param(b'{"email": {"product_updates": NaN}}', id="NaN"),
        pytest.param(b'{"email": {"product_updates": Infinity}}', id="Infinity"),
        pytest.param(b'{"email": {"product_updates": -Infinity}}', id="-Infinity"),
        pytest.param(b"NaN", id="NaN alone"),
        pytest.param(b'{"in_app": NaN}', id="NaN under an unknown key"),
        pytest.param(b'{"email": {"product_updates": 01}}', id="leading zero"),
        pytest.param(b'{"email": {"product_updates": +1}}', id="plus sign"),
        pytest.param(b'{"email": {"product_updates": .5}}', id="no digit before the point"),
        pytest.param(b'{"email": {"product_updates": 0x1}}', id="hexadecimal"),
        pytest.param(b'{"ema\nil": {}}', id="line break in a string"),
        pytest.param(b'{"ema\\xil": {}}', id="unknown escape"),
        pytest.param(b'{"\\ud8": {}}', id="cut escape"),
        pytest.param(b'{"\xff": {}}', id="invalid UTF-8"),
        pytest.param(b'{"email": {"product_updates": true}}\xc3', id="cut UTF-8 at the end"),
        pytest.param(b'{"\xed\xa0\x80": {}}', id="surrogate in UTF-8"),
        pytest.param(b'{"\xc0\xae": {}}', id="overlong UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"\xef\xbb\xbf", id="byte order mark alone"),
        pytest.param('{"email": {}}'.encode("utf-16"), id="UTF-16"),
        pytest.param('{"email": {}}'.encode("utf-16-le"), id="UTF-16 without mark"),
        pytest.param('{"email": {}}'.encode("utf-32"), id="UTF-32"),
        pytest.param(b"[" * 10_000, id="10,000 brackets"),
        pytest.param(b'{"a":' * 3_000, id="3,000 objects"),
    ],
)
async def test_what_is_not_strict_json_is_malformed(refused, body: bytes) -> None:
    await refused(body, "INVALID_INPUT", None)


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [(b"", b"", {"body": "must be an object"}), (b'{"email": {"product_updates": ', b"}}", A_WRONG_TYPE)],
    ids=["alone", "for a boolean"],
)
async def test_what_is_nested_deeper_than_the_interpreter_goes_is_malformed(
    refused, before: bytes, after: bytes, details: dict[str, str]
) -> None:
    body = before + b"[" * 8_000 + b"]" * 8_000 + after
    try:
        json.loads(body)
    except RecursionError:
        await refused(body, "INVALID_INPUT", None)
    else:  # from Python 3.13 on, no body is long enough
        await refused(body, INVALID, details)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (rb'{"\ud800": true}', {"\ud800": "unknown channel"}),
        (rb'{"email": {"\udfff": true}}', {"email.\udfff": "unknown toggle"}),
        (rb'{"\ud83d\ude00": true}', {"😀": "unknown channel"}),
        (rb'{"\u0000": true}', {"\0": "unknown channel"}),
        (b'{"": true}', {"": "unknown channel"}),
        (b'{"email": {"": true}}', {"email.": "unknown toggle"}),
        (b'{"email.product_updates": true}', {"email.product_updates": "unknown channel"}),
        (b'{"email": {"email.product_updates": true}}', {"email.email.product_updates": "unknown toggle"}),
        (b'{"email": {".": true}}', {"email..": "unknown toggle"}),
        (b'{"Email": {}}', {"Email": "unknown channel"}),
        (b'{"email ": {}}', {"email ": "unknown channel"}),
        (b'{"email": {"Product_Updates": true}}', {"email.Product_Updates": "unknown toggle"}),
        (b'{"email": {"__proto__": true}}', {"email.__proto__": "unknown toggle"}),
        ('{"émail": true}'.encode(), {"émail": "unknown channel"}),
        (b'{"' + b"k" * 10_000 + b'": true}', {"k" * 10_000: "unknown channel"}),
    ],
    ids=lambda part: repr(part)[:40] if isinstance(part, bytes) else "",
)
async def test_a_key_is_taken_literally_and_told_as_it_was_sent(refused, body: bytes, details: dict[str, str]) -> None:
    await refused(body, UNKNOWN, details)


A_MANDATORY = {"email.security_alerts": "cannot be changed"}
AN_UNKNOWN_TOGGLE = {"email.product_news": "unknown toggle"}
AN_UNKNOWN_CHANNEL = {"in_app": "unknown channel"}


@pytest.mark.parametrize(
    ("document", "code", "details"),
    [
        (
            {"email": {"product_updates": 1, "security_alerts": True, "product_news": True}, "in_app": {}},
            UNKNOWN,
            A_WRONG_TYPE | A_MANDATORY | AN_UNKNOWN_TOGGLE | AN_UNKNOWN_CHANNEL,
        ),
        (
            {"in_app": None, "email": {"product_updates": 1, "delivery_alerts": True}},
            UNKNOWN,
            AN_UNKNOWN_CHANNEL | A_WRONG_TYPE,
        ),
        (
            {"email": {"product_news": 1, "security_alerts": None, "weekly_usage_digest": False}},
            UNKNOWN,
            AN_UNKNOWN_TOGGLE | A_MANDATORY,
        ),
        (
            {"email": {"product_updates": "x", "security_alerts": True, "billing_receipts": True}},
            IMMUTABLE,
            A_WRONG_TYPE | A_MANDATORY,
        ),
        ({"email": [], "in_app": {}}, UNKNOWN, {"email": "must be an object"} | AN_UNKNOWN_CHANNEL),
        (
            {"email": {"product_updates": None, "delivery_alerts": 1, "weekly_usage_digest": False}},
            INVALID,
            A_WRONG_TYPE | {"email.delivery_alerts": "must be a boolean"},
        ),
        ({"a": 1, "b": 2, "c": 3}, UNKNOWN, dict.fromkeys("abc", "unknown channel")),
        (
            {"email": {"product_updates": False, "product_news": True}},
            UNKNOWN,
            AN_UNKNOWN_TOGGLE,
        ),
    ],
)
async def test_several_faults_are_one_code_and_every_detail(refused, document, code: str, details) -> None:
    await refused(json.dumps(document).encode(), code, details)
    turned = {
        name: dict(reversed(value.items())) if isinstance(value, dict) else value for name, value in document.items()
    }
    await refused(json.dumps(dict(reversed(turned.items()))).encode(), code, details)


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


async def test_a_body_in_many_small_pieces_is_one_body(http, fresh_user) -> None:
    response = await http.patch(PATH, content=in_chunks(DIGEST_ON, size=1), headers=bearer(fresh_user()))
    assert response.json()["data"]["email"]["weekly_usage_digest"] is True


async def test_the_body_of_a_get_is_of_no_interest(http, fresh_user) -> None:
    response = await http.request("GET", PATH, content=b"{not json", headers=bearer(fresh_user()))
    assert response.status_code == 200
