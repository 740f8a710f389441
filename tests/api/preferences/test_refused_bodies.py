"""Bodies of PATCH that are refused: which code, which details, and that nothing changes."""

import json
from typing import Any

import pytest

from tests.support.patch_bodies import toggles

UNKNOWN, IMMUTABLE, INVALID = "UNKNOWN_NOTIFICATION_KEY", "IMMUTABLE_NOTIFICATION_KEY", "VALIDATION_FAILED"


A_WRONG_TYPE = {"email.product_updates": "must be a boolean"}


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
