"""The two parts of an answer, sent as one."""

import asyncio
from typing import Any


class OneWrite:
    """A transport that sends the head of an answer together with what follows.

    uvicorn writes head and body one after the other, and uvloop sends each write at once: two calls of the kernel and two
    packets, the first of which wakes up a client that can't do anything with it yet. What nothing follows in the same turn
    of the event loop is sent at its end. No more than one piece is ever held back, so a transport that is full says so in time.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        """All the rest is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._held = data
            self._call_soon(self._send)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)
