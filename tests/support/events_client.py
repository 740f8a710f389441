"""Readers of the feed, as they would be written by whoever reads its documentation."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from tests.support.api_keys import make_key

EVENTS = "/v1/events"


async def events_key(url: str, organization: str | None = None, *scopes: str) -> dict[str, str]:
    """The header of a new key; without an organization, of one of the platform."""
    return await make_key(url, organization, *(scopes or ["events:read"]), name="feed")


async def lines(http: httpx.AsyncClient, headers: dict[str, str], **query: Any) -> tuple[list[Any], int]:
    """All events as lines, and the position to go on from."""
    accept = {"Accept": "application/x-ndjson"}
    response = await http.get(EVENTS, params=query, headers=headers | accept)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()], int(response.headers["x-next-after"])


async def pages(http: httpx.AsyncClient, headers: dict[str, str], **query: Any) -> list[Any]:
    """All events, page by page, by `cursor`."""
    found: list[Any] = []
    while True:
        response = await http.get(EVENTS, params=query, headers=headers)
        assert response.status_code == 200, response.text
        found += response.json()["data"]
        query["cursor"] = response.json()["meta"]["next_cursor"]
        if query["cursor"] is None:
            return found


def positions(events: Sequence[Any]) -> list[int]:
    return [int(event["sequence"]) for event in events]


class Message(NamedTuple):
    """A dispatched server-sent event, or a comment, which has no data."""

    id: str
    event: str
    data: str
    comment: str

    @property
    def position(self) -> int:
        return int(self.id)


class Stream:
    """A reader of server-sent events that parses them itself, over a bare socket: one that can also stop reading."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader, self._writer = reader, writer
        self.head = head.decode("latin-1")
        self.status = int(head.split()[1])
        self.last_event_id = ""
        self.whole = False
        """Whether the body came to an end, and the connection wasn't just cut."""

    async def bytes(self) -> AsyncIterator[bytes]:
        """The chunks of the body (RFC 9112, section 7.1)."""
        while True:
            try:
                size = int(await self._reader.readline(), 16)
                chunk = await self._reader.readexactly(size + 2)
            except (ValueError, OSError, asyncio.IncompleteReadError):
                return
            if not size:
                self.whole = True
                return
            yield chunk[:-2]

    async def messages(self) -> AsyncIterator[Message]:
        rest = b""
        async for chunk in self.bytes():
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                fields = [line.partition(":") for line in block.decode().split("\n")]
                named = {name: value.removeprefix(" ") for name, _, value in fields}
                self.last_event_id = named.get("id", self.last_event_id)
                yield Message(self.last_event_id, named.get("event", ""), named.get("data", ""), named.get("", ""))

    async def events(self) -> AsyncIterator[Message]:
        async for message in self.messages():
            if message.data and message.event != "position":
                yield message

    async def take(self, number: int, *, within: float = 10) -> list[Message]:
        """So many events."""
        taken: list[Message] = []
        async with asyncio.timeout(within):
            async for message in self.events():
                taken.append(message)
                if len(taken) == number:
                    break
        return taken


@asynccontextmanager
async def stream(
    url: str, headers: dict[str, str], query: str = "", *, buffer: int = 2**16, accept: str = "text/event-stream"
) -> AsyncIterator[Stream]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=buffer)
    fields = {"Host": "test", "Accept": accept, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"GET {EVENTS}{query} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
    try:
        yield Stream(reader, writer, await reader.readuntil(b"\r\n\r\n"))
    finally:
        writer.transport.abort()
