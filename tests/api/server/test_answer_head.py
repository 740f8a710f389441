"""The bytes of an answer's head: what an application says can't change where the head ends, or the answer."""

import pytest
from uvicorn.server import ServerState

from api.server.answer_head import HeadBeginnings, header_lines


def test_each_header_is_a_line_and_names_are_in_lower_case() -> None:
    headers = [(b"ETag", b'"a b\tc"'), (b"x-request-id", b"01JTBQH2FZ8K1RXC0WJ4Z9P3VM"), (b"Vary", b"")]
    assert header_lines(headers) == b'etag: "a b\tc"\r\nx-request-id: 01JTBQH2FZ8K1RXC0WJ4Z9P3VM\r\nvary: \r\n'


@pytest.mark.parametrize("control", [bytes([code]) for code in (*range(9), *range(10, 32), 127)])
def test_a_value_with_a_control_character_is_refused(control: bytes) -> None:
    fine = (b"vary", b"Origin")
    with pytest.raises(ValueError, match="control character"):
        header_lines([fine, (b"etag", b"a" + control + b"x-forged: b"), fine])


def test_a_line_break_that_is_missing_elsewhere_does_not_make_up_for_it() -> None:
    with pytest.raises(ValueError, match="control character"):
        header_lines([(b"etag", b"a\r\nset-cookie: b"), (b"vary", b"")])


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"a\x00", b"\xe9", b"a/b", b"(a)", b"a=b"])
def test_a_name_that_is_none_is_refused(name: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="is no name"):
            header_lines([(name, b"")])


def test_the_server_alone_says_how_an_answer_is_framed() -> None:
    with pytest.raises(ValueError, match="chunked"):
        header_lines([(b"Transfer-Encoding", b"chunked")])


def test_the_date_is_that_of_the_second() -> None:
    # Given a server that tells a new time each second
    server = ServerState()
    beginnings = HeadBeginnings(server)
    for date in (b"Fri, 27 Nov 2026 19:00:00 GMT", b"Fri, 27 Nov 2026 19:00:01 GMT"):
        server.default_headers = [(b"date", date)]
        # then every answer has it, whether its status was answered before or not.
        for status, said in ((200, b"200 OK"), (404, b"404 Not Found"), (499, b"499 "), (200, b"200 OK")):
            assert beginnings.beginning(status) == b"HTTP/1.1 " + said + b"\r\ndate: " + date + b"\r\n"
