"""Which bodies are a click on an unsubscribe link, and which are not."""

import random

import pytest

from api.pages.unsubscribe.click import clicked
from domain.provenance import Source

FORM = b"application/x-www-form-urlencoded"
BOUNDARY = b"multipart/form-data; boundary=b"


def part(value: bytes, name: bytes = b'"List-Unsubscribe"', end: bytes = b"\r\n") -> bytes:
    lines = [b"--b", b"Content-Disposition: form-data; name=" + name, b"", value, b"--b--", b""]
    return end.join(lines)


@pytest.mark.parametrize(
    ("content_type", "body", "source"),
    [
        (FORM, b"List-Unsubscribe=One-Click", Source.ONE_CLICK),
        (FORM, b"List-Unsubscribe=Link", Source.LINK),
        (FORM + b"; charset=utf-8", b"List-Unsubscribe=One-Click\r\n", Source.ONE_CLICK),
        (b"", b"List-Unsubscribe=One-Click", Source.ONE_CLICK),
        (b"text/plain", b"List%2DUnsubscribe=One-Click", Source.ONE_CLICK),
        (FORM, b"x=1&List-Unsubscribe=One-Click", Source.ONE_CLICK),
        (BOUNDARY, part(b"One-Click"), Source.ONE_CLICK),
        (BOUNDARY, part(b"Link"), Source.LINK),
        (BOUNDARY, part(b"One-Click", b"List-Unsubscribe"), Source.ONE_CLICK),
        (BOUNDARY, part(b"One-Click", end=b"\n"), Source.ONE_CLICK),
        (b'Multipart/Form-Data; boundary="b"', b"preamble\r\n" + part(b"One-Click"), Source.ONE_CLICK),
    ],
)
def test_a_click_is_understood_in_every_form_in_which_it_is_sent(content_type, body, source) -> None:
    assert clicked(content_type, body) is source


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b""),
        (FORM, b"List-Unsubscribe="),
        (FORM, b"List-Unsubscribe=Two-Clicks"),
        (FORM, b"list-unsubscribe=One-Click"),
        (FORM, b"List-Unsubscribe=one-click"),
        (FORM, b"List-Unsubscribe=One-Click&List-Unsubscribe=Link"),
        (FORM, b"&".join([b"a=b"] * 30) + b"&List-Unsubscribe=One-Click"),
        (FORM, b"List-Unsubscribe=One-Click\xff"),
        (FORM, part(b"One-Click")),
        (b"application/json", b'{"List-Unsubscribe": "One-Click"}'),
        (BOUNDARY, b"List-Unsubscribe=One-Click"),
        (BOUNDARY, part(b"Two-Clicks")),
        (BOUNDARY, part(b"One-Click", b"Other")),
        (BOUNDARY, part(b"One-Click", b"")),
        (BOUNDARY, b""),
        (b"multipart/form-data", part(b"One-Click")),
        (b"multipart/form-data; boundary=c", part(b"One-Click")),
    ],
)
def test_anything_else_is_no_click(content_type, body) -> None:
    assert clicked(content_type, body) is None


def test_no_body_breaks_the_reading() -> None:
    chance = random.Random(20260703)
    pieces = [
        b"--b",
        b"\r\n",
        b"\n",
        b"Content-Disposition:",
        b" form-data;",
        b"name*=",
        b"name*0*=utf-9''%ff",
        b"=?x?b?=",
        b"--",
    ]
    pieces += [
        b"List-Unsubscribe",
        b"=",
        b"Two",
        b"Content-Transfer-Encoding: base64",
        b"\x00",
        b"\xff",
        b'"',
        b"Content-Type: multipart/mixed",
    ]
    types = [FORM, BOUNDARY, b"multipart/form-data; boundary*=utf-9'x'%ff", b"multipart/form-data; boundary=\xff"]
    for _ in range(3_000):
        body = b"".join(chance.choices(pieces, k=chance.randint(0, 25)))
        assert clicked(chance.choice(types), body) is None
