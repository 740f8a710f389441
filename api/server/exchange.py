"""One request and its answer, as the application sees them."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Scope

from api.http.answer import Headers
from api.server.answer_head import CHUNKED, CLOSE, CLOSING, HeadBeginnings, header_lines
from api.server.transport import AnswerTransport

BODYLESS: Final = (204, 304)
"""Statuses of answers without a body, and without its length."""

MOST_HELD: Final = 64 * 1024
"""Bytes of a body that are read ahead of the application."""

log = structlog.get_logger("http")


class Exchange:
    """`receive` and `send` are those of ASGI. `answer` sends a whole answer at once.

    A request without a body needs no `asyncio.Event`; one is made only if the application waits.
    """

    # Most requests change few of these, and making a request sets none of them.
    body: bytes | bytearray = b""
    more_body = True
    disconnected = False
    started = False
    complete = False
    task: asyncio.Task[None] | None = None
    _news = False
    """Whether there is something that `receive` has not returned yet."""
    _changed: asyncio.Event | None = None
    _chunked = False
    _left: int | None = None
    """Bytes of the announced length that are still to be sent. None if no length was announced."""

    def __init__(
        self,
        transport: AnswerTransport,
        beginnings: HeadBeginnings,
        on_complete: Callable[[], None],
        *,
        is_head: bool,
        is_old: bool,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        """`is_old`: the client speaks HTTP/1.0, which doesn't have chunks."""
        self._transport = transport
        self._beginnings = beginnings
        self._on_complete = on_complete
        self._is_head = is_head
        self._is_old = is_old
        self.keep_alive = keep_alive
        self._expects_continue = expects_continue

    @property
    def awaits_end(self) -> bool:
        """Whether the application has read the whole request, and now waits in `receive` for the end of the connection."""
        return not (self.more_body or self.complete or self._changed is None or self._changed.is_set())

    def take_body(self, piece: bytes) -> None:
        if not self.body:
            self.body = piece
        else:
            # An array takes the time of the piece. Making longer and longer `bytes` would take the time of the whole body for each piece.
            self.body = self.body if isinstance(self.body, bytearray) else bytearray(self.body)
            self.body += piece
        if len(self.body) > MOST_HELD:
            self._transport.pause_reading()
        self.notify()

    def end_body(self) -> None:
        self.more_body = False
        self.notify()

    def disconnect(self) -> None:
        if not self.complete:
            self.disconnected = True
            self.notify()

    def notify(self) -> None:
        """Let `receive` look again."""
        self._news = True
        if self._changed is not None:
            self._changed.set()

    async def run(self, app: ASGIApp, scope: Scope, tasks: set[asyncio.Task[None]]) -> None:
        """Have the application answer. An answer that it doesn't finish ends with the connection, so that no client takes it for whole."""
        try:
            await app(scope, self.receive, self.send)
        finally:
            if self.task is not None:
                tasks.discard(self.task)
            if not self.complete and not self.disconnected:
                if not self.started:
                    self.keep_alive = False
                    self._send_whole(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"Internal Server Error")
                else:
                    log.error("an answer was left unfinished", method=scope["method"])
                    self._transport.close()

    async def receive(self) -> Message:
        if self._expects_continue and not self.started and not self._transport.is_closing():
            self._expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.disconnected and not self.complete:
            if self.more_body or not self._news:
                # More of the body must come, or the end of the connection.
                self._transport.resume_reading()
            if not self._news:
                await self._change()
            self._news = False
        if self.disconnected or self.complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        self._changed.clear()
        await self._changed.wait()

    async def send(self, message: Message) -> None:
        if self._transport.is_full and not self.disconnected:
            await self._transport.room()
        if self.disconnected:
            return
        expected = "http.response.body" if self.started else "http.response.start"
        if self.complete or message["type"] != expected:
            raise RuntimeError(f"{message['type']} where the end of the answer or {expected} was expected")
        if self.started:
            self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._start(message["status"], [*message.get("headers", ())])

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, in one piece. The server adds the length."""
        if self._transport.is_full and not self.disconnected:
            await self._transport.room()
        if not self.disconnected:
            self._send_whole(status, headers, body)

    def _send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        if self.started:
            raise RuntimeError("a second answer to the same request")
        self.started = True
        head = self._beginnings.beginning(status) + header_lines(headers)
        if status not in BODYLESS:
            head += b"content-length: %d\r\n" % len(body)
        if CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            head += CLOSING
        bodyless = self._is_head or status in BODYLESS
        self._transport.write_whole(head + b"\r\n" if bodyless else b"%b\r\n%b" % (head, body))
        self._finish()

    def _start(self, status: int, headers: Headers) -> None:
        head = self._beginnings.beginning(status) + header_lines(headers)
        said = False
        for name, value in headers:
            name = name.lower()
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and b"close" in [token.strip().lower() for token in value.split(b",")]:
                said = True
        if said:
            self.keep_alive = False
        elif not self.keep_alive:
            head += CLOSING
        if self._is_head or status in BODYLESS:
            self._left = 0
        elif self._left is None and not self._is_old:
            self._chunked = True
            head += CHUNKED
        self.started = True
        self._transport.write(head + b"\r\n")

    def _continue(self, body: bytes, *, more: bool) -> None:
        if self._is_head:
            pass
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._transport.write(piece if more else piece + b"0\r\n\r\n")
        else:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError("the body is not as long as announced")
            self._transport.write(body)
        if not more:
            self._finish()

    def _finish(self) -> None:
        self.complete = True
        if self._changed is not None:
            self._changed.set()
        if not self.keep_alive:
            self._transport.close()
        self._on_complete()
