"""HTTP/1.1 as clients and proxies speak it, where uvicorn's protocol loses something."""

import asyncio
from typing import Any, cast

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.connection import EXTENSION, ClientConnection
from api.errors import MalformedRequest
from api.refused_request import REFUSAL, UNKNOWN_METHOD
from api.transport import AnswerTransport
from domain.errors import ServiceError


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol over a transport as answers need it. It differs in this:

    An offered upgrade (`Upgrade: h2c`) is ignored, as RFC 9110 (section 7.8) allows, and the request is served with its body.
    httptools drops that body: a change of preferences would be answered 200 and not be recorded.
    A request that can't be parsed is answered by the application, after all requests before it on the same connection.
    Trailers never count as headers.
    A client that hangs up is noticed by the request that is being answered, also if others wait behind it.
    An answer to HTTP/1.0 is never chunked; the end of the connection is the end of the answer.
    """

    _upgrading = False
    """Whether the request whose head was read offered an upgrade, so that httptools goes on to skip its body."""
    _answered: RequestResponseCycle | None = None
    """The request that is being answered. `cycle` is the one that is being read."""

    @override
    def connection_made(self, transport: Any) -> None:
        answering = AnswerTransport(transport, self, lambda: self._reading is not None and self._reading.more_body)
        super().connection_made(cast("asyncio.Transport", answering))
        self._connection = ClientConnection(transport.abort)
        self._extensions: dict[str, Any] = {EXTENSION: self._connection}

    @override
    def data_received(self, data: bytes | memoryview) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offered:
                data = memoryview(data)[offered.args[0] :]
                self._parse_without_upgrade()
            except httptools.HttpParserError:
                self._refuse(MalformedRequest())
                return

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._upgrading = True
            return
        super().on_headers_complete()
        # What is still called a header comes after the body. It goes where no reader looks.
        self.headers = []

    @override
    def on_body(self, body: bytes) -> None:
        if not self._upgrading:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if not self._upgrading:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        if cycle.scope["http_version"] == "1.0":
            app = _until_closed(app, cycle)
        super()._start_asgi_task(cycle, app)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn tells only the request that was read last.
        self.pipeline.clear()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    @override
    def shutdown(self) -> None:
        self._connection.ending.set()
        super().shutdown()

    @property
    def _reading(self) -> RequestResponseCycle | None:
        """The request that was read last; before the first one, there is none, whatever uvicorn's types say."""
        return self.cycle

    def _parse_without_upgrade(self) -> None:
        """Parse the head again as if no upgrade had been offered. The body, and all later requests, then follow as usual."""
        start = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        self._upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(start + fields + b"\r\n")

    def _refuse(self, error: ServiceError) -> None:
        """Read no more of this connection, answer what was whole, then refuse the rest, and close."""
        self.parser = cast("httptools.HttpRequestParser", _Deaf())
        reading = self._reading
        if reading is not None and reading.scope is self.scope and reading.more_body:
            # Its body is the fault. Who reads it is told; otherwise the answer was to the head alone.
            self._connection.fault = error
            reading.keep_alive = False
            reading.message_event.set()
            if reading.response_complete:
                self.transport.close()
        else:
            self._answer_refusal(error)

    def _answer_refusal(self, error: ServiceError) -> None:
        self.on_message_begin()
        parts = {"method": UNKNOWN_METHOD, "path": "", "raw_path": b"", "query_string": b"", REFUSAL: error}
        cast("dict[str, Any]", self.scope).update(parts)
        cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        before, self.cycle = self._reading, cycle
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))


class _Deaf:
    """In place of a parser, when nothing that still comes has a meaning."""

    def feed_data(self, data: bytes | memoryview) -> None:
        pass


def _until_closed(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """The application for a client of HTTP/1.0, which doesn't know chunks."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_plainly(message: Message) -> None:
            if message["type"] == "http.response.start":
                if all(name != b"content-length" for name, _ in message["headers"]):
                    cycle.chunked_encoding = False
            elif cycle.chunked_encoding is False and not cycle.expected_content_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return answering
