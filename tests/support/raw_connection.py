"""A connection to which bytes are written in exactly these pieces, and from which answers are read one after the other."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx


class ReceivedAnswer(NamedTuple):
    status: int
    headers: httpx.Headers
    body: bytes


class RawConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def send(self, *pieces: bytes, pause: float = 0.002) -> None:
        """Each piece is a packet of its own, and read by the server on its own."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause)
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, *, patience: float = 10) -> ReceivedAnswer:
        """The next answer, with its Content-Length. Raises `IncompleteReadError` where the connection ends instead."""
        async with asyncio.timeout(patience):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            pairs = [tuple(line.split(": ", 1)) for line in lines if line]
            headers = httpx.Headers(pairs)
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return ReceivedAnswer(int(status.split()[1]), headers, body)

    async def head(self, *, patience: float = 10) -> int:
        """The status of an answer that has no body."""
        async with asyncio.timeout(patience):
            return int((await self._reader.readuntil(b"\r\n\r\n")).split()[1])

    def reset(self) -> None:
        """End the connection with a reset, whatever is under way."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def piece(self, *, patience: float = 10) -> bytes:
        """What comes next, of any length; at the end of the connection, an error."""
        async with asyncio.timeout(patience):
            received = await self._reader.read(1 << 16)
        assert received, "the server has closed the connection"
        return received

    async def rest(self, *, patience: float = 10) -> bytes:
        """What comes until the server closes the connection."""
        async with asyncio.timeout(patience):
            return await self._reader.read()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[RawConnection]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def chunked(body: bytes, *sizes: int, trailers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The body in chunks of these sizes, the rest of it in one more, and the end."""
    chunks, start = b"", 0
    for size in (*sizes, len(body)):
        if chunk := body[start : start + size]:
            chunks += b"%x\r\n%b\r\n" % (len(chunk), chunk)
        start += size
    return chunks + b"0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers).encode() + b"\r\n"
