"""Between uvicorn and the socket: how an answer leaves."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from typing_extensions import override

LINGER: Final = 1.0
"""Seconds for a caller whose body was refused to read the answer."""


class AnswerTransport:
    """A transport that sends an answer in one piece, and doesn't lose it where a body was refused.

    uvicorn writes head and body one after the other, and uvloop sends each write at once: two calls of the kernel and two
    packets, the first of which wakes up a client that can't do anything with it yet. What nothing follows in the same turn
    of the event loop is sent at its end. No more than one piece is ever held back, so a transport that is full says so in time.

    A connection that is closed while something unread arrives is reset, and takes the answer along before the caller has
    read it. Where `more_to_come` at the end, only our side is closed, and what still comes is taken in and forgotten, until
    the caller closes the other one or has had time enough (RFC 9112, section 9.6).
    """

    def __init__(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, more_to_come: Callable[[], bool]
    ) -> None:
        self._transport, self._protocol = transport, protocol
        self._more_to_come = more_to_come
        self._loop = asyncio.get_running_loop()
        self._held = b""
        self._lingering = False

    def __getattr__(self, name: str) -> Any:
        """All the rest is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._held = data
            self._loop.call_soon(self._send)

    def pause_reading(self) -> None:
        if not self.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """A connection that has ended has nothing to be read, and the event loop's own transport calls that an error."""
        if not self.is_closing():
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        return self._lingering or self._transport.is_closing()

    def close(self) -> None:
        self._send()
        if self.is_closing() or not self._more_to_come():
            self._transport.close()
        else:
            self._lingering = True
            self._transport.write_eof()
            self._transport.set_protocol(_Forgetful(self._protocol))
            self._transport.resume_reading()
            self._loop.call_later(LINGER, self._transport.close)

    def _send(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)


class _Forgetful(asyncio.Protocol):
    """Takes everything in. When the caller closes its side, the connection is closed, and whom it belonged to is told."""

    def __init__(self, before: asyncio.Protocol) -> None:
        self._before = before

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
