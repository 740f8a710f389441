"""The transport between the protocol and the socket, which sends answers."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from typing_extensions import override

LINGER: Final = 1.0
"""Seconds that a client has to read the answer after its body was refused."""

DROPPED_EACH: Final = 0.01
"""Seconds between two pieces that are read only to be dropped. A client that sends as fast as it can, hundreds of megabytes, would
otherwise take the time of all others."""

_ESTABLISHED: Final = 1
"""The first byte of Linux's `TCP_INFO` while both sides of a connection are open."""


class AnswerTransport:
    """A transport that sends an answer in one piece, and doesn't lose the answer if a body was refused.

    An application sends head and body one after the other, and uvloop sends each write at once. That costs two system calls and
    two packets, and the first packet wakes up a client that can't use it yet. So `write` holds a write back until the next
    write, or until the end of the turn of the event loop. It holds back one write at most, so a full transport is still
    noticed in time. `write_whole` holds nothing back.

    `is_full` as long as the client doesn't take what was written; `room` waits until it has taken most of it.

    If the server closes a connection while unread bytes arrive, the kernel resets it, and the client may lose the answer before
    it has read it. So if `more_to_come` at the end, only our side is closed. Further bytes are read and dropped, until the client
    closes its side or `LINGER` seconds have passed (RFC 9112, section 9.6). A piece is read every `DROPPED_EACH` seconds.
    """

    def __init__(self, transport: asyncio.Transport, more_to_come: Callable[[], bool]) -> None:
        self._transport = transport
        self._more_to_come = more_to_come
        self._loop = asyncio.get_running_loop()
        self._held = b""
        self._lingering = False
        self._reading_paused = False
        self.is_full = False
        self._has_room: asyncio.Event | None = None

    def __getattr__(self, name: str) -> Any:
        """Everything else is passed on to uvloop's transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._held = data
            self._loop.call_soon(self._send)

    def write_whole(self, data: bytes) -> None:
        """Send at once what is held back, and these bytes. A connection that is closing drops them."""
        if self._held:
            self._send()
        if not self._lingering and not self._transport.is_closing():
            self._transport.write(data)

    def fill(self) -> None:
        self.is_full = True
        self._has_room = asyncio.Event()

    def empty(self) -> None:
        self.is_full = False
        if self._has_room is not None:
            self._has_room.set()

    def end(self) -> None:
        """The connection is lost: let no answer wait for room, and let go of the owner, who refers to this object."""
        self.empty()
        self._more_to_come = bool  # Which says no.

    async def room(self) -> None:
        if self.is_full and self._has_room is not None:
            await self._has_room.wait()

    def pause_reading(self) -> None:
        if not self._reading_paused and not self.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless the connection is closing: then the event loop's own transport would raise an error."""
        if self._reading_paused and not self.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def drop(self) -> None:
        """Call it with each piece that is dropped. The next one is read in a moment."""
        self._transport.pause_reading()
        self._loop.call_later(DROPPED_EACH, self._read_on)

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def has_unread_end(self) -> bool:
        """Whether reading is paused, and the client has ended the connection meanwhile. Its end lies behind bytes that aren't read.

        Only Linux's kernel says so. Elsewhere, the end is noticed when reading is resumed, or when a write fails.
        """
        if not self._reading_paused or not hasattr(socket, "TCP_INFO"):
            return False
        its: socket.socket = self._transport.get_extra_info("socket")
        return its.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED

    def is_closing(self) -> bool:
        return self._lingering or self._transport.is_closing()

    def close(self) -> None:
        self._send()
        if self.is_closing() or not self._more_to_come():
            self._transport.close()
        else:
            self._lingering = True
            self._transport.write_eof()
            self._transport.set_protocol(_Forgetful(self._transport.get_protocol(), self.drop))
            self._transport.resume_reading()
            self._loop.call_later(LINGER, self._transport.close)

    def _send(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            if not self._transport.is_closing():
                self._transport.write(held)


class _Forgetful(asyncio.Protocol):
    """Drops all received bytes. When the client closes its side, the connection is closed, and the former protocol is informed."""

    def __init__(self, before: asyncio.BaseProtocol, drop: Callable[[], None]) -> None:
        self._before, self._drop = before, drop

    @override
    def data_received(self, data: bytes) -> None:
        self._drop()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
