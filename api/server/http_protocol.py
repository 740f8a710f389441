"""One connection of HTTP/1.1, as clients and proxies really use it."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, cast

from starlette.types import ASGIApp, Scope
from typing_extensions import override
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from api.http.answer import AT_ONCE
from api.http.connection import EXTENSION, ClientConnection, Stopping
from api.http.errors import RequestTimeout
from api.http.refused_request import as_refused
from api.server.answer_head import HeadBeginnings
from api.server.exchange import Exchange
from api.server.patience import Awaited, Patience
from api.server.request_reader import RequestReader
from api.server.transport import AnswerTransport
from domain.errors import ServiceError

LAST_CALL: Final = 0.5
"""Seconds for which idle connections stay open when the server stops, because a request may be on its way."""
LAST_PATIENCE: Final = 5.0
"""Seconds from the stop on within which a client must send the rest of a body, or take its answer."""


class HttpProtocol(asyncio.Protocol):
    """Reads requests and has the application answer them, one after the other, in the order in which they came.

    uvicorn's server makes the sockets and starts this for each connection. Its own protocol takes twice the time for a request, and:

    - The application answers a request that can't be parsed, too, after all earlier requests on the same connection.
    - When a client closes the connection, an application that waits for this in `receive` learns of it, within a second even if other
      requests wait behind this one. Then reading is paused, so that they take no memory without end.
    - An answer to HTTP/1.0 is never chunked. The end of the connection is the end of the answer.
    - The size and the duration of a request are limited from its first byte on, before the caller is identified.
    """

    def __init__(
        self,
        app: ASGIApp,
        server: ServerState,
        beginnings: HeadBeginnings,
        patience: Mapping[Awaited, float],
        most_header_bytes: int,
        stopping: Stopping,
    ) -> None:
        self._app = app
        # uvicorn waits for both sets when it stops.
        self._connections = cast("set[Any]", server.connections)
        self._tasks = server.tasks
        self._beginnings = beginnings
        self._patience = Patience(patience)
        self._most_header_bytes = most_header_bytes
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        # The request that is being answered, or was answered last.
        self._answered: Exchange | None = None
        self._waiting: deque[tuple[Exchange, Scope]] = deque()
        self._has_refused = False

    @override
    def connection_made(self, transport: Any) -> None:
        self._connections.add(self)
        self._transport = AnswerTransport(transport, self._more_may_come)
        self._connection = ClientConnection(transport.abort, self._stopping)
        self._common: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": "http",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "root_path": "",
            "extensions": {EXTENSION: self._connection},
        }
        self._reader = RequestReader(self._common, self._most_header_bytes, self._begin)

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except ServiceError as error:
            self._refuse(error)
        # Only now, because most bodies come together with their head. The application then never waits for them.
        if self._waiting:
            if not self._is_answering():
                self._answer_next()
        elif self._reader.is_dropping:
            self._transport.drop()

    @override
    def pause_writing(self) -> None:
        self._transport.fill()

    @override
    def resume_writing(self) -> None:
        self._transport.empty()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._waiting.clear()
        for exchange in (self._answered, self._reader.exchange):
            if exchange is not None:
                exchange.disconnect()
        # All these refer to this object. Without the circles its memory is free now, not when the garbage collector runs next.
        self._answered = self._reader.exchange = self._connection.fault = None
        self._patience.renew()
        self._transport.end()
        self._reader.end()

    def _begin(self, scope: Scope, keep_alive: bool, expects_continue: bool) -> Exchange:
        """Called by the reader, with each request in turn."""
        exchange = Exchange(
            self._transport,
            self._beginnings,
            self._answer_next,
            is_head=scope["method"] == "HEAD",
            is_old=scope["http_version"] == "1.0",
            keep_alive=keep_alive,
            expects_continue=expects_continue,
        )
        if self._waiting or self._is_answering():
            self._transport.pause_reading()
        self._waiting.append((exchange, scope))
        return exchange

    def _answer_next(self) -> None:
        if self._transport.is_closing():
            return
        if self._waiting:
            exchange, scope = self._waiting.popleft()
            self._answered = exchange
            if self._stopping.begun:
                exchange.keep_alive = False
            scope[AT_ONCE] = exchange.answer
            exchange.task = task = self._loop.create_task(exchange.run(self._app, scope, self._tasks))
            self._tasks.add(task)
        if not self._waiting:
            # Not sooner: a client that takes no answer could have requests wait here without end.
            self._transport.resume_reading()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops."""
        self._stopping.ending.set()
        self._stopping.begun = True
        self.end_after_answer()
        self._loop.call_later(LAST_CALL, self._close_if_idle)
        self._loop.call_later(LAST_PATIENCE, self._give_up_client)

    def end_after_answer(self) -> None:
        """Make the answer in progress the last one of this connection. Its head says so, if it isn't sent yet."""
        if self._answered is not None and not self._answered.complete:
            self._answered.keep_alive = False

    def look(self, now: float) -> None:
        """End a wait that has taken too long, or that is in vain. The server calls this every second, so no request needs a timer of its own."""
        reader, patience, transport = self._reader, self._patience, self._transport
        if transport.is_closing():
            if patience.exhausted(Awaited.ANSWER_TAKEN, transport.get_write_buffer_size(), now):
                transport.abort()
        elif self._answered is not None and self._answered.awaits_end and transport.has_unread_end():
            transport.abort()
        elif self._has_refused:
            patience.renew()
        elif reader.in_head or reader.exchange is None:
            if self._is_answering():
                patience.renew()
            elif reader.heads == 0:
                if patience.exhausted(Awaited.FIRST_BYTE, None, now):
                    transport.close()
            elif patience.exhausted(Awaited.HEAD, reader.heads, now):
                self._refuse(RequestTimeout())
        elif reader.exchange is not self._answered:
            patience.renew()
        elif reader.exchange.more_body:
            if patience.exhausted(Awaited.BODY, reader.exchange, now):
                if reader.exchange.complete:
                    transport.abort()  # The client has had as long to read the answer.
                else:
                    self._refuse(RequestTimeout())
        elif not reader.exchange.complete:
            patience.renew()
        elif patience.exhausted(Awaited.NEXT_REQUEST, (reader.heads, transport.get_write_buffer_size()), now):
            transport.close()

    def _is_answering(self) -> bool:
        return self._answered is not None and not self._answered.complete

    def _more_may_come(self) -> bool:
        """Whether unread bytes may still arrive. Then closing the connection could destroy the answer before the client reads it."""
        return self._stopping.begun or self._has_refused or self._reader.in_body

    def _close_if_idle(self) -> None:
        if not self._is_answering() and not self._transport.is_closing():
            self._transport.close()

    def _give_up_client(self) -> None:
        if self._transport.is_closing():
            self._transport.abort()
        elif self._is_answering() and self._reader.in_body:
            self._refuse(RequestTimeout())

    def _refuse(self, error: ServiceError) -> None:
        """Read no more from this connection. Answer the complete requests, then refuse the rest, and close."""
        if self._has_refused:
            return
        self._has_refused = True
        self._reader.end()
        reading = self._reader.exchange
        if reading is not None and self._reader.in_body:
            # The fault is in the body. If the endpoint reads the body, it gets this error; otherwise it has answered the head alone.
            self._connection.fault = error
            reading.keep_alive = False
            reading.notify()
            if reading.complete:
                self._transport.close()
        else:
            refused = as_refused(self._common, error, self._reader.origin)
            self._begin(refused, keep_alive=False, expects_continue=False)
            if not self._is_answering():
                self._answer_next()
