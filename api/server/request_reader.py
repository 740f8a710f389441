"""Reads the requests of a connection from its bytes."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import httptools
from starlette.types import Scope

from api.http.errors import HeadersTooLarge, MalformedRequest
from api.server.exchange import Exchange

Field: TypeAlias = tuple[bytes, bytes]

Begin: TypeAlias = Callable[[Scope, bool, bool], Exchange]
"""Takes a request whose head was read: its scope, whether the connection stays open after it, and whether the client waits for
`100 Continue` before it sends the body."""

_PATH_ALONE: Final = re.compile(rb"/[!-\"$&->@-~]*")
"""An address without a query, a fragment or an escape. Parsing it would find the same."""


class RequestReader:
    """httptools' parser, with these differences:

    - An offered upgrade (`Upgrade: h2c`) is ignored, as RFC 9110 (section 7.8) allows. httptools would drop the body of the request.
    - Trailers never count as headers.
    - The bytes of a head are limited from the first one on. `common` has the part of the scope that all requests share.
    """

    def __init__(self, common: dict[str, Any], most_header_bytes: int, begin: Begin) -> None:
        self._common = common
        self._most_header_bytes = most_header_bytes
        self._begin: Begin | None = begin
        self._parser: httptools.HttpRequestParser | None = self._new_parser()
        # The request that is being read, or was read last. Its body belongs to it even if earlier requests are not answered yet.
        self.exchange: Exchange | None = None
        self.heads = 0
        """Heads that have begun."""
        self.in_head = False
        self._address = b""
        self._headers: list[Field] = []
        self._expects_continue = False
        # Whether the head that was just read offers an upgrade. Then httptools would skip the body.
        self._upgrading = False
        # Bytes that completed no request and were not part of a body. The parser may hold all of them in memory.
        # -1: the last bytes were part of a body.
        self._held_bytes = 0

    @property
    def in_body(self) -> bool:
        """Whether more of a body must come, before anything else can."""
        return not self.in_head and self.exchange is not None and self.exchange.more_body

    @property
    def origin(self) -> list[Field]:
        """The field `Origin` of the head that is being read, if it has come."""
        return [field for field in self._headers if field[0] == b"origin"] if self.in_head else []

    @property
    def is_dropping(self) -> bool:
        """Whether more of a body must come that has no reader: its request was answered without it."""
        return self.in_body and self.exchange is not None and self.exchange.complete

    def feed(self, data: bytes | memoryview) -> None:
        """Raises `HeadersTooLarge` or `MalformedRequest`. After an error, or after `end`, the reader ignores everything."""
        length, most = len(data), self._most_header_bytes
        if length <= most:
            self._parse(data, length)
            return
        whole = memoryview(data)
        for start in range(0, length, most):
            self._parse(whole[start : start + most], min(most, length - start))

    def end(self) -> None:
        # Both refer to this object, or to its owner. All of them would be kept until the garbage collector runs.
        self._parser = self._begin = None

    def _parse(self, data: bytes | memoryview, length: int) -> None:
        heads = self.heads
        try:
            while data and self._parser is not None:
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as offered:
                    data = memoryview(data)[offered.args[0] :]
                    self._parse_without_upgrade(self._parser)
        except httptools.HttpParserError:
            self.end()
            raise (HeadersTooLarge if self._held_bytes > self._most_header_bytes else MalformedRequest) from None
        if self.exchange is not None and not self.in_head and not self.exchange.more_body:
            self._held_bytes = 0
        elif self._held_bytes < 0 or self.heads != heads:
            # It is unknown how many of these bytes the parser holds, but they are fewer than the limit.
            self._held_bytes = 1
        else:
            self._held_bytes += length
            if self._held_bytes > self._most_header_bytes and self._parser is not None:
                self.end()
                raise HeadersTooLarge

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # A client may send a request behind one that says `Connection: close`. The first is answered, and the second never is.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _parse_without_upgrade(self, parser: httptools.HttpRequestParser) -> None:
        """Parse the head again without the offered upgrade. The body and all later requests then follow as usual."""
        head = _without_upgrade(parser.get_method(), self._address, parser.get_http_version(), self._headers)
        self._upgrading = False
        self._parser = self._new_parser()
        self._parser.feed_data(head)

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        self.heads += 1
        self.in_head = True
        self._address = b""
        self._headers = []
        self._expects_continue = False

    def on_url(self, piece: bytes) -> None:
        self._address += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, begin = self._parser, self._begin
        assert parser is not None
        assert begin is not None
        if self._held_bytes and (size := _head_size(self._address, self._headers)) > self._most_header_bytes:
            self._held_bytes = size
            raise HeadersTooLarge
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                # It opens a tunnel and nothing else, so there is no request to answer without it.
                raise MalformedRequest
            self._upgrading = True
            return
        version = parser.get_http_version()
        scope: Scope = self._common.copy()
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"], scope["raw_path"], scope["query_string"] = _parts(self._address)
        scope["headers"] = self._headers
        self.in_head = False
        self.exchange = begin(scope, version != "1.0" and parser.should_keep_alive(), self._expects_continue)
        # Later "headers" are trailers after the body. They go to a new list, which nothing reads.
        self._headers = []

    def on_body(self, piece: bytes) -> None:
        self._held_bytes = -1
        if not self._upgrading and self.exchange is not None and not self.exchange.complete:
            self.exchange.take_body(piece)

    def on_message_complete(self) -> None:
        if not self._upgrading and self.exchange is not None:
            self.exchange.end_body()


def _parts(address: bytes) -> tuple[str, bytes, bytes]:
    """Path, path as sent, and query."""
    if _PATH_ALONE.fullmatch(address):
        return address.decode("ascii"), address, b""
    parsed = httptools.parse_url(address)
    # `http://host` has no path. That is the same as `/` (RFC 9110, section 4.2.3).
    raw_path = parsed.path or b"/"
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, parsed.query or b""


def _head_size(address: bytes, fields: Sequence[Field]) -> int:
    """Bytes of the address and of all fields, including their separators."""
    return len(address) + sum(len(name) + len(value) + 4 for name, value in fields)


def _without_upgrade(method: bytes, address: bytes, version: str, fields: Iterable[Field]) -> bytes:
    kept = b"".join(b"%b: %b\r\n" % field for field in fields if field[0] != b"upgrade")
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, address, version.encode(), kept)
