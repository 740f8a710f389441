"""Readers of the feed that cost next to nothing: bare sockets, and lines that are counted and not looked at."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.postgres.database import Database

RECEIVED = 1 << 20


async def new_key(url: str, organization: str | None, scope: str = "events:read") -> str:
    async with Database(url, size=1) as database:
        return await PostgresApiKeys(database).create(organization, "bench", [scope])


def _request(key: str, accept: str, after: int) -> bytes:
    return (
        f"GET /v1/events?after={after} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nAccept: {accept}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


def read_lines(port: int, key: str, after: int) -> tuple[int, float]:
    """How many events came, and the seconds from the request to the end."""
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_request(key, "application/x-ndjson", after))
        events = 0
        ending = b""
        while received := connection.recv(RECEIVED):
            events += received.count(b"}\n")
            ending = (ending + received)[-5:]
    if ending != b"0\r\n\r\n":
        raise RuntimeError("the lines were broken off")
    return events, time.perf_counter() - started


async def read_stream(port: int, key: str, after: int) -> AsyncIterator[bytes]:
    """The lines that the server sends, until the caller stops reading."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=RECEIVED)
    writer.write(_request(key, "text/event-stream", after))
    try:
        if b" 200 " not in await reader.readline():
            raise RuntimeError("the stream was refused")
        while line := await reader.readline():
            yield line
    finally:
        writer.transport.abort()
