"""The head of an answer as bytes."""

import re
from http import HTTPStatus
from typing import Final

from uvicorn.server import ServerState

from api.http.answer import Headers

CLOSE: Final = (b"connection", b"close")
CLOSING: Final = b"connection: close\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"

_SEPARATORS: Final = re.compile(rb'[\x00-\x20\x7f-\xff()<>@,;:\\"/\[\]?={}]')
_CONTROLS: Final = bytes((*range(9), *range(10, 32), 127))


class _Beginnings(dict[bytes, bytes]):
    """The lines of headers up to the value, by name. Names come from the code alone, so there are few."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if not name or _SEPARATORS.search(name):
            raise ValueError(f"{name!r} is no name of a header")
        if lower == b"transfer-encoding":
            raise ValueError("the server alone decides whether an answer is chunked")
        beginning = self[name] = lower + b": "
        return beginning


_BEGINNINGS: Final = _Beginnings()


def header_lines(headers: Headers) -> bytes:
    """Raises `ValueError` for a header that would change where the head or the answer ends."""
    parts: list[bytes] = []
    for name, value in headers:
        parts += (_BEGINNINGS[name], value, b"\r\n")
    lines = b"".join(parts)
    # One search in all lines takes less time than one in each value. Each line has the two control characters of its end.
    if len(lines) - len(lines.translate(None, _CONTROLS)) != 2 * len(headers):
        raise ValueError("a header's value has a control character")
    return lines


class HeadBeginnings:
    """The status line and the headers that all answers of a server have, such as the date. They are made once a second for each status."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._made_from: Headers = ()
        self._made: dict[int, bytes] = {}

    def beginning(self, status: int) -> bytes:
        # uvicorn makes a new list each second.
        if self._server.default_headers is not self._made_from:
            self._made_from = self._server.default_headers
            self._made.clear()
        return self._made.get(status) or self._make(status)

    def _make(self, status: int) -> bytes:
        made = self._made[status] = b"HTTP/1.1 %d %b\r\n%b" % (status, _phrase(status), header_lines(self._made_from))
        return made


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
