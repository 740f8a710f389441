"""Readers of the feed that never give up: each form of it, over HTTP, from its own position on, through any failover."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from tests.support.events_client import EVENTS, stream


class Seen(NamedTuple):
    position: int
    id: str
    kind: str


class FeedReader:
    """What one reader was told, in that order. `beyond` counts how often it heard that it was beyond the end of the log."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url, self.headers = url, headers
        self.seen: list[Seen] = []
        self.position = 0
        self.beyond = 0

    def take(self, events: list[dict[str, Any]]) -> None:
        self.seen += [Seen(int(event["sequence"]), event["id"], event["type"].split(".")[-2]) for event in events]

    async def by_pages(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as http:
            while True:
                response = await self._asked(http, {"limit": 100})
                if response is not None:
                    document = response.json()
                    self.take(document["data"])
                    self.position = document["meta"]["next_after"]
                await asyncio.sleep(0.02)

    async def by_lines(self) -> None:
        accept = {"Accept": "application/x-ndjson"}
        async with httpx.AsyncClient(base_url=self.url, timeout=10, headers=accept) as http:
            while True:
                response = await self._asked(http, {})
                if response is not None:
                    self.take([json.loads(line) for line in response.text.splitlines()])
                    self.position = int(response.headers["x-next-after"])
                await asyncio.sleep(0.02)

    async def live(self) -> None:
        while True:
            try:
                headers = {**self.headers, "Last-Event-ID": str(self.position)}
                async with stream(self.url, headers) as reader:
                    if reader.status != 200:
                        # Its connection is kept, so the end of the answer would not come for long.
                        await asyncio.sleep(0.2)
                        continue
                    async for message in reader.messages():
                        self.beyond += "beyond the end" in message.comment
                        if message.data and message.event != "position":
                            self.take([json.loads(message.data)])
                        if message.id:
                            self.position = message.position
            except (OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(0.05)

    async def _asked(self, http: httpx.AsyncClient, query: dict[str, int]) -> httpx.Response | None:
        try:
            response = await http.get(EVENTS, params={"after": self.position, **query}, headers=self.headers)
        except httpx.TransportError:
            return None
        self.beyond += response.status_code == 409
        assert response.status_code in {200, 409, 503}, response.text
        return response if response.status_code == 200 else None


@asynccontextmanager
async def reading(url: str, everything: dict[str, str], of_one: dict[str, str]) -> AsyncIterator[dict[str, FeedReader]]:
    """While the context lasts, a reader of each form reads everything, and pages are read of one organization."""
    readers = {name: FeedReader(url, everything) for name in ("pages", "lines", "live")}
    readers["pages of one"] = FeedReader(url, of_one)
    ways: dict[str, Callable[[FeedReader], Any]] = {
        "pages": FeedReader.by_pages,
        "lines": FeedReader.by_lines,
        "live": FeedReader.live,
        "pages of one": FeedReader.by_pages,
    }
    tasks = [asyncio.create_task(ways[name](reader)) for name, reader in readers.items()]
    try:
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if not isinstance(error, asyncio.CancelledError) and isinstance(error, BaseException):
                raise error
