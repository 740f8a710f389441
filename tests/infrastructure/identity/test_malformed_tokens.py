"""Hostile text in place of a session token."""

import base64

import pytest

from infrastructure.identity.session_tokens import LONGEST
from tests.support.sessions import refusal


def raw(header: bytes, payload: bytes = b"{}", signature: bytes = b"signature") -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, payload, signature))


# Hostile text


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "not a token",
        "eyJ" * 100,
        "ключ.ключ.ключ",
        "\ud800.\ud800.\ud800",
        "\x00.\x00.\x00",
        raw(b""),
        raw(b"null"),
        raw(b"[]"),
        raw(b'"RS256"'),
        raw(b"\xff\xff"),
        raw(b'{"alg": "RS256", "kid": ' + b"1" * 5000 + b"}"),
        raw(b"[" * 5000),
        raw(b'{"alg": "RS256", "kid": "ours"}') + "!",
        raw(b'{"alg": "RS256", "b64": false, "kid": "ours"}'),
    ],
    ids=lambda text: ascii(text[:16]),
)
async def test_what_is_no_jwt_is_refused_as_such(hostile, sessions):
    assert await refusal(sessions, hostile) == "not a JWT"


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg": "RS256", "kid": 1}',
        b'{"alg": "RS256", "kid": null}',
        b'{"alg": "RS256", "kid": ["ours"]}',
        b'{"alg": "RS256", "kid": "ours", "crit": ["exp"], "exp": 1}',
        b'{"alg": "RS256", "kid": "ours", "crit": ["b64"], "b64": true}',
        b'{"alg": "RS256", "kid": "ours", "crit": []}',
        b'{"alg": "RS256", "kid": "ours", "crit": null}',
    ],
)
async def test_a_header_that_we_do_not_understand_is_refused(header, sessions):
    assert await refusal(sessions, raw(header)) == "header not understood"


@pytest.mark.parametrize("algorithm", [b"null", b"1", b'["RS256"]', b'"rs256"', b'""', b"{}"])
async def test_an_algorithm_must_be_spelled_exactly(algorithm, sessions):
    assert await refusal(sessions, raw(b'{"kid": "ours", "alg": ' + algorithm + b"}")) == "algorithm not allowed"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "claims are not JSON"),
        (b"\xff\xfe{}", "claims are not JSON"),
        ('{"iss": "x"}'.encode("utf-16"), "claims are not JSON"),
        (b"[" * 5000, "claims are not JSON"),
        (b'{"a":' * 1000, "claims are not JSON"),
        (b'{"exp": ' + b"1" * 5000 + b"}", "claims are not JSON"),
        (b"null", "claims are not an object"),
        (b"[1]", "claims are not an object"),
        (b'"text"', "claims are not an object"),
    ],
)
async def test_claims_that_cannot_be_read_are_refused_though_well_signed(payload, reason, sessions, token):
    assert await refusal(sessions, token(payload=payload)) == reason


async def test_a_megabyte_of_token_is_refused_without_reading_it(sessions, token):
    assert await refusal(sessions, token() + "A" * 1_000_000) == "token too long"


async def test_the_longest_token_has_eight_kibibytes(sessions, token):
    spare = LONGEST - len(token({"pad": ""}))
    sizes = {len(made): made for made in (token({"pad": "x" * (spare * 3 // 4 + change)}) for change in range(-6, 7))}
    longest = max(size for size in sizes if size <= LONGEST)
    assert (await sessions.verify(sizes[longest])).user == "user_1"
    assert await refusal(sessions, sizes[min(size for size in sizes if size > LONGEST)]) == "token too long"
