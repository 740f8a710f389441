"""Answers that are sent as they come about, as the server is given them."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from typing_extensions import override

from api.feed.answers import FeedAnswers
from api.feed.server_sent_events import ServerSentEvents, encode
from api.http.connection import EXTENSION, ClientConnection
from api.http.streamed import Streamed
from application.feed.feed import Selection, Slice
from application.feed.live_feed import LiveFeed
from application.feed.live_tail import LiveTail
from domain.errors import Unavailable
from domain.events import PreferencesErased
from tests.support.events import toggled
from tests.support.memory_feed import MemoryFeed


async def answer(response: Streamed, sent: list[Any], its: ClientConnection) -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await response({"type": "http", "method": "GET", "extensions": {EXTENSION: its}}, receive, send)


async def nothing_yet() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b"never"


@pytest.mark.parametrize("endless", [True, False])
async def test_a_server_that_stops_before_the_first_byte_is_unavailable(endless: bool) -> None:
    sent: list[Any] = []
    its = ClientConnection()
    answering = asyncio.create_task(answer(Streamed(nothing_yet(), [], send_within=1, endless=endless), sent, its))
    await asyncio.sleep(0.01)
    its.server.ending.set()
    with pytest.raises(Unavailable):
        await answering
    assert sent == []


class SlowFeed(MemoryFeed):
    """Has one piece at once, and the others never."""

    @override
    async def read(self, after: int, limit: int, selection: Selection, *, at_least: int = 0) -> Slice:
        if after:
            await asyncio.Event().wait()
        return await super().read(after, limit, selection)


async def test_the_header_of_lines_leaves_before_the_first_match_is_found() -> None:
    feed = SlowFeed(*(toggled(2, "delivery_alerts", True) for _ in range(10)), searched=1)
    live = LiveFeed(feed, LiveTail(feed.watch, encode), encode, most_readers=1)
    answers = FeedAnswers(feed, ServerSentEvents(live, 15), send_within=1)
    sent: list[Any] = []
    its = ClientConnection()
    answering = asyncio.create_task(
        answer(await answers.lines(0, None, Selection(kind=PreferencesErased), trailer=False), sent, its)
    )
    async with asyncio.timeout(5):
        while len(sent) < 2:  # noqa: ASYNC110 - a server has no event for what it was given
            await asyncio.sleep(0.01)
    assert sent[0]["status"] == 200
    assert sent[1] == {"type": "http.response.body", "body": b"", "more_body": True}
    its.server.ending.set()
    await answering
