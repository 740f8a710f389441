"""HTTP/1.1 as clients and proxies really use it, in the cases that uvicorn's protocol doesn't handle well."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

import httptools
from typing_extensions import override
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.connection import EXTENSION, ClientConnection, Stopping
from api.http.errors import HeadersTooLarge, MalformedRequest, RequestTimeout
from api.http.refused_request import Deaf, refused
from api.server.patience import Awaited, Patience
from api.server.plain_answer import until_closed
from api.server.request_head import head_size, without_upgrade
from api.server.transport import AnswerTransport
from domain.errors import ServiceError

LAST_CALL: Final = 0.5
"""Seconds for which idle connections stay open when the server stops, because a request may be on its way."""
LAST_PATIENCE: Final = 5.0
"""Seconds from the stop on within which a client must send the rest of a body, or take its answer."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol over an `AnswerTransport`, with these differences:

    - An offered upgrade (`Upgrade: h2c`) is ignored, as RFC 9110 (section 7.8) allows. httptools would drop the body of the request.
    - The application answers a request that can't be parsed, after all earlier requests on the same connection.
    - Trailers never count as headers.
    - When a client closes the connection, the request that is being answered learns of it, even if other requests wait behind it.
    - An answer to HTTP/1.0 is never chunked. The end of the connection is the end of the answer.
    - The size and the duration of a request are limited from its first byte on, before the caller is identified.
    """

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: Any,
        patience: Mapping[Awaited, float],
        most_header_bytes: int,
        stopping: Stopping,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._most_header_bytes = most_header_bytes
        self._patience = Patience(patience)
        self._stopping = stopping
        # Whether the head that was just read offers an upgrade. Then httptools would skip the body.
        self._upgrading = False
        # The request that is being answered. `cycle` is the request that is being read.
        self._answered: RequestResponseCycle | None = None
        # Bytes that completed no request and were not part of a body. The parser may hold all of them in memory.
        # -1: the last bytes were part of a body.
        self._held_bytes = 0

    @override
    def connection_made(self, transport: Any) -> None:
        answering = AnswerTransport(transport, self, self._more_may_come)
        super().connection_made(cast("asyncio.Transport", answering))
        self._connection = ClientConnection(transport.abort, self._stopping)
        self._extensions: dict[str, Any] = {EXTENSION: self._connection}

    @override
    def data_received(self, data: bytes | memoryview) -> None:
        if len(data) <= self._most_header_bytes:
            self._parse(data)
            return
        whole = memoryview(data)
        for start in range(0, len(data), self._most_header_bytes):
            self._parse(whole[start : start + self._most_header_bytes])

    def _parse(self, data: bytes | memoryview) -> None:
        length, begun = len(data), self.scope
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as offered:
                    data = memoryview(data)[offered.args[0] :]
                    self._parse_without_upgrade()
        except httptools.HttpParserError:
            too_large = self._held_bytes > self._most_header_bytes
            self._refuse(HeadersTooLarge() if too_large else MalformedRequest())
            return
        reading = self.cycle
        # Before the first request it is None, which uvicorn's types don't say.
        if reading is not None and reading.scope is self.scope and not reading.more_body:  # type: ignore[redundant-expr]
            self._held_bytes = 0
        elif self._held_bytes < 0 or self.scope is not begun:
            # It is unknown how many of these bytes the parser holds, but they are fewer than the limit.
            self._held_bytes = 1
        else:
            self._held_bytes += length
            if self._held_bytes > self._most_header_bytes:
                self._refuse(HeadersTooLarge())

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    @override
    def on_headers_complete(self) -> None:
        if self._held_bytes and (size := head_size(self.url, self.headers)) > self._most_header_bytes:
            self._held_bytes = size
            raise HeadersTooLarge
        if self.parser.should_upgrade():
            self._upgrading = True
            return
        super().on_headers_complete()
        # Later "headers" are trailers after the body. They go to a new list, which nothing reads.
        self.headers = []

    @override
    def on_body(self, body: bytes) -> None:
        self._held_bytes = -1
        reading = self.cycle
        if self._upgrading or reading.response_complete:
            return
        reading.body += body
        if len(reading.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        reading.message_event.set()

    @override
    def on_message_complete(self) -> None:
        if not self._upgrading:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    @override
    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        if self._stopping.begun:
            cycle.keep_alive = False
        if cycle.scope["http_version"] == "1.0":
            app = until_closed(app, cycle)
        super()._start_asgi_task(cycle, app)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn informs only the request that was read last.
        self.pipeline.clear()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    @override
    def shutdown(self) -> None:
        self._stopping.ending.set()
        self._stopping.begun = True
        self.end_after_answer()
        self.loop.call_later(LAST_CALL, self._close_if_idle)
        self.loop.call_later(LAST_PATIENCE, self._give_up_client)

    def end_after_answer(self) -> None:
        """Make the answer in progress the last one of this connection. Its head says so, if it isn't sent yet."""
        if self._answered is not None and not self._answered.response_complete:
            self._answered.keep_alive = False

    def look(self, now: float) -> None:
        """End a wait that has taken too long. The server calls this every second, so no request needs a timer of its own."""
        reading, patience = self._reading, self._patience
        if self.transport.is_closing():
            if patience.exhausted(Awaited.ANSWER_TAKEN, self.transport.get_write_buffer_size(), now):
                self.transport.abort()
        elif reading is None or reading.scope is not self.scope:
            if self._is_answering():
                patience.renew()
            elif cast("Any", self.scope) is None:
                if patience.exhausted(Awaited.FIRST_BYTE, None, now):
                    self.transport.close()
            elif patience.exhausted(Awaited.HEAD, self.scope, now):
                self._refuse(RequestTimeout())
        elif reading is not self._answered:
            patience.renew()
        elif reading.more_body:
            if patience.exhausted(Awaited.BODY, reading, now):
                self._refuse(RequestTimeout())
        elif not reading.response_complete:
            patience.renew()
        elif patience.exhausted(Awaited.NEXT_REQUEST, (reading, self.transport.get_write_buffer_size()), now):
            self.transport.close()

    @property
    def _reading(self) -> RequestResponseCycle | None:
        """The request that was read last. Before the first one it is None, which uvicorn's types don't say."""
        return self.cycle

    def _is_answering(self) -> bool:
        return self._answered is not None and not self._answered.response_complete

    def _more_may_come(self) -> bool:
        """Whether unread bytes may still arrive. Then closing the connection could destroy the answer before the client reads it."""
        return self._stopping.begun or (self._reading is not None and self._reading.more_body)

    def _close_if_idle(self) -> None:
        if not self._is_answering() and not self.transport.is_closing():
            self.transport.close()

    def _give_up_client(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        elif self._is_answering() and self.cycle.more_body:
            self._refuse(RequestTimeout())

    def _parse_without_upgrade(self) -> None:
        """Parse the head again without the offered upgrade. The body and all later requests then follow as usual."""
        head = without_upgrade(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self._upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _refuse(self, error: ServiceError) -> None:
        """Read no more from this connection. Answer the complete requests, then refuse the rest, and close."""
        self.parser = cast("httptools.HttpRequestParser", Deaf())
        reading = self._reading
        if reading is not None and reading.scope is self.scope and reading.more_body:
            # The fault is in the body. If the endpoint reads the body, it gets this error; otherwise it has answered the head alone.
            self._connection.fault = error
            reading.keep_alive = False
            reading.message_event.set()
            if reading.response_complete:
                self.transport.close()
        else:
            self._answer_refusal(error)

    def _answer_refusal(self, error: ServiceError) -> None:
        self.on_message_begin()
        before, self.cycle = self._reading, refused(self, error)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
