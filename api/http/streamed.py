"""Answers that are sent piece by piece while they are made. They are not buffered for readers who don't take them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.connection import ClientConnection, connection
from api.http.errors import FOREIGN
from api.http.request_context import REQUEST_ID
from application.feed.live_tail import ReaderTooSlow
from domain.errors import ForeignEvent, ServiceError, Unavailable

log = structlog.get_logger("http")

# nginx obeys it. If it buffered, it would delay events, and write an export that its reader takes slowly to a file.
UNBUFFERED: Final = (b"x-accel-buffering", b"no")


class Streamed(Response):
    """A response of status 200 whose body is `chunks`.

    If the client doesn't take a chunk within `send_within` seconds, the connection is dropped. When the server stops, an
    `endless` body ends properly, since it may end anywhere. Any other body is broken off, so that no reader takes it for complete.

    For HEAD, no chunk is made: with an endless body the answer would never end.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        headers: Sequence[tuple[bytes, bytes]],
        *,
        send_within: float,
        endless: bool = False,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [*headers, UNBUFFERED]
        self._chunks = chunks
        self._send_within = send_within
        self._endless = endless
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await self._chunks.aclose()
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        its = connection(scope)
        sending = asyncio.create_task(self._send_all(send))
        watching = [asyncio.create_task(_gone(receive)), asyncio.create_task(its.server.ending.wait())]
        try:
            await asyncio.wait({sending, *watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *watching):
                task.cancel()
            await asyncio.wait({sending, *watching})
        await self._conclude(sending, its, scope, send)

    async def _conclude(self, sending: asyncio.Task[None], its: ClientConnection, scope: Scope, send: Send) -> None:
        error = None if sending.cancelled() else sending.exception()
        if not self._started:
            if error is not None:
                raise error
            if its.server.ending.is_set():
                raise Unavailable("the server stops")
        if sending.cancelled() and self._endless and its.server.ending.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._send_within / 10):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
        if sending.cancelled() or error is not None:
            its.abort()
            # The server notices the abort a moment later. Until then it would log an error about the unfinished body.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if isinstance(error, TimeoutError | ReaderTooSlow):
            log.warning("reader cut off", reason="it takes nothing, or too little")
        elif isinstance(error, ForeignEvent):
            log.critical(FOREIGN, reason=error.reason, request_id=scope[REQUEST_ID])
        elif isinstance(error, ServiceError):
            log.warning("answer broken off", code=error.code, reason=error.reason)
        elif error is not None:
            raise error

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            # Wait for the first chunk before sending the head. If it fails, the client still gets a proper error.
            first = await anext(chunks, b"")
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send(send, first, more=True)
            async for chunk in chunks:
                await self._send(send, chunk, more=True)
            await self._send(send, b"", more=False)

    async def _send(self, send: Send, chunk: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self._send_within):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def nothing() -> AsyncGenerator[bytes, None]:
    """No chunks, for an answer to HEAD."""
    return
    yield b""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
