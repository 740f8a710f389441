"""A feed that two servers answer, of which one lags: nobody misses what the other one has."""

import asyncio
from contextlib import aclosing

import pytest
from typing_extensions import override

from application.feed.feed import CHUNK, EVERYTHING, Selection, Slice, slices
from application.feed.live_feed import LiveFeed
from application.feed.live_tail import LiveTail
from application.feed.replay import Replayed, replay
from application.log import Recorded
from domain.events import NotificationToggled
from tests.application.feed.test_replay import Shelf
from tests.support.events import toggled
from tests.support.memory_feed import MemoryFeed

LACKING = 4


class LaggingFeed(MemoryFeed):
    """Asks a server that lacks the last events, and only if that is too little, one that has them all.

    A `careless` one takes what the first one has.
    """

    def __init__(self, *, careless: bool = False) -> None:
        super().__init__(*(toggled(2, "delivery_alerts", True) for _ in range(CHUNK + 20)))
        self.careless = careless
        self.behind = MemoryFeed()
        self.behind.log = self.log[:-LACKING]

    @override
    async def read(self, after: int, limit: int, selection: Selection, *, at_least: int = 0) -> Slice:
        piece = await self.behind.read(after, limit, selection)
        enough = piece.more or await self.behind.end() >= max(after, at_least)
        return piece if enough or self.careless else await super().read(after, limit, selection)

    @override
    async def end(self, *, at_least: int = 0) -> int:
        end = await self.behind.end()
        return end if end >= at_least or self.careless else await super().end()


def encode(recorded: Recorded) -> bytes:
    return b"%d" % recorded.position


async def through_slices(feed: LaggingFeed) -> list[int]:
    """Up to an end that another server has told."""
    async with aclosing(slices(feed, 0, feed.positions[-1], EVERYTHING)) as pieces:
        return [recorded.position async for piece in pieces for recorded in piece.events]


async def through_the_stream(feed: LaggingFeed) -> list[int]:
    """With a tail that is at the end already."""
    tail = LiveTail(feed.watch, encode, poll=0.01)
    live = LiveFeed(feed, tail, encode, most_readers=1)
    told: list[int] = []
    with tail.join(feed.positions[-1]):
        async with aclosing(live.follow(0, EVERYTHING, patience=0.05)) as following, asyncio.timeout(1):
            async for news in following:
                told += map(int, news.encoded)
                if news.position >= feed.positions[-1]:
                    break
    return told


@pytest.mark.parametrize("read", [through_slices, through_the_stream])
async def test_what_the_server_behind_lacks_comes_from_the_other_one(read) -> None:
    feed = LaggingFeed()
    assert await read(feed) == feed.positions


async def test_a_careless_feed_would_lose_the_last_events_or_never_come_to_them() -> None:
    """The control."""
    feed = LaggingFeed(careless=True)
    assert await through_slices(feed) == feed.positions[:-LACKING]
    with pytest.raises(TimeoutError):
        await through_the_stream(feed)


async def test_a_replay_goes_on_from_where_another_server_has_brought_it() -> None:
    feed = LaggingFeed()
    shelf = Shelf(position=feed.positions[-2])
    assert await replay(feed, EVERYTHING, shelf, lambda *_: None) == Replayed(1, feed.positions[-1])
    assert [recorded.position for recorded in shelf.taken] == feed.positions[-1:]
    assert isinstance(shelf.taken[0].event, NotificationToggled)


async def test_a_reader_who_has_seen_more_than_the_server_behind_follows_all_the_same() -> None:
    feed = LaggingFeed()
    live = LiveFeed(feed, LiveTail(feed.watch, encode, poll=0.01), encode, most_readers=1)
    async with aclosing(live.follow(feed.positions[-2], EVERYTHING, patience=30)) as following, asyncio.timeout(5):
        news = await anext(following)
        assert ([int(one) for one in news.encoded], news.end) == (feed.positions[-1:], None)
