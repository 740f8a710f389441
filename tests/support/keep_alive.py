"""A client that costs next to nothing: one HTTP/1.1 connection, one request at a time, over plain asyncio streams.

A general client needs more processor time for a request than the service does; under load it would measure itself.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.server import PATH


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    @property
    def preferences(self) -> dict[str, dict[str, bool]]:
        return json.loads(self.body)["data"]


class NoReply(ConnectionError):
    """The connection ended before an answer did: whether the request took effect is unknown."""


class KeepAlive:
    """Connects with the first request, and again with the first one after a `NoReply`."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def get(self, headers: dict[str, str] | None = None, path: str = PATH) -> Reply:
        return await self.request("GET", path, headers or {})

    async def patch(self, headers: dict[str, str], body: Any, path: str = PATH) -> Reply:
        return await self.request("PATCH", path, headers, json.dumps(body).encode())

    async def request(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(head + body)
            return await self._reply(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoReply(str(error)) from error
        except asyncio.CancelledError:
            self.close()
            raise

    async def _reply(self, reader: asyncio.StreamReader) -> Reply:
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        reply = Reply(int(status.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0))))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return reply
