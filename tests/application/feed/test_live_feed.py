"""Following the feed: nothing is missed or told twice between what is there and what comes, and nobody is waited for."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from application.feed.feed import CHUNK, EVERYTHING, Selection
from application.feed.live_feed import LiveFeed, News
from application.feed.live_tail import QUEUE, SILENT, LiveTail, ReaderTooSlow
from application.log import Recorded
from domain.errors import Unavailable
from domain.events import NotificationToggled
from tests.support.events import opened, toggled
from tests.support.memory_feed import MemoryFeed


def events(number: int) -> list[NotificationToggled]:
    return [toggled(2, "delivery_alerts", True) for _ in range(number)]


def encode(recorded: Recorded) -> bytes:
    return b"%d" % recorded.position


class Live:
    """A live feed over a log in memory."""

    def __init__(self, *there: Any, most_readers: int = 10, silent: float = SILENT, **options: Any) -> None:
        self.log = MemoryFeed(*there, **options)
        self.tail = LiveTail(self.log.watch, encode, poll=0.01, silent=silent)
        self.feed = LiveFeed(self.log, self.tail, encode, most_readers=most_readers)

    @asynccontextmanager
    async def reader(
        self, after: int = 0, selection: Selection = EVERYTHING, patience: float = 30
    ) -> AsyncIterator["Reader"]:
        async with aclosing(self.feed.follow(after, selection, patience=patience)) as news:
            yield Reader(news)


class Reader:
    def __init__(self, news: AsyncIterator[News]) -> None:
        self._news = news
        self.position = 0

    async def next(self) -> News:
        async with asyncio.timeout(10):
            news = await anext(self._news)
        self.position = news.position
        return news

    async def until(self, position: int) -> list[int]:
        """The positions of all events told until this one is reached."""
        told: list[int] = []
        while self.position < position:
            told += [int(encoded) for encoded in (await self.next()).encoded]
        return told


async def test_what_is_there_comes_first_and_what_is_new_after_it() -> None:
    live = Live(*events(5))
    async with live.reader() as reader:
        assert await reader.until(15) == [3, 6, 9, 12, 15]
        live.log.append(*events(2))
        assert await reader.until(21) == [18, 21]


async def test_the_log_is_watched_once_for_all_and_only_while_somebody_reads() -> None:
    live = Live(*events(5))
    async with live.reader() as one, live.reader(9) as other:
        assert await one.until(15) == [3, 6, 9, 12, 15]
        assert await other.until(15) == [12, 15]
        live.log.append(*events(1))
        assert await one.until(18) == await other.until(18) == [18]
        assert live.log.watching == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert live.log.watching == 0


async def test_who_comes_later_reads_by_itself_up_to_where_the_tail_was() -> None:
    live = Live(*events(3))
    async with live.reader(9) as first:
        assert (await first.next()).encoded == []
        live.log.append(*events(CHUNK + 5))
        end = live.log.positions[-1]
        waiting = asyncio.create_task(first.until(end))
        async with live.reader(searched_until(live)) as second:
            told = await second.until(end)
        assert told == [position for position in live.log.positions if position > searched_until(live)]
        assert await waiting == live.log.positions[3:]


def searched_until(live: Live) -> int:
    return live.log.positions[4]


async def test_between_reading_by_itself_and_the_tail_nothing_is_missed_or_told_twice() -> None:
    # Given a tail that is at work already, and a log that grows at every turn of the loop
    live = Live(*events(50), searched=7)
    chance = random.Random(3)
    async with live.reader() as first:
        await first.until(150)
        growing = asyncio.create_task(grow(live, 400))
        following = asyncio.create_task(first.until(1350))
        # when readers come at random moments, at random positions
        told = await asyncio.gather(*(come(live, chance.randrange(0, 40), chance.randrange(0, 151)) for _ in range(30)))
        await growing
        # then each is told what is behind its position, once, in order.
        for after, positions in told:
            assert positions == [position for position in live.log.positions if position > after]
        assert await following == live.log.positions[50:]


async def grow(live: Live, number: int) -> None:
    for _ in range(number):
        live.log.append(*events(1))
        await asyncio.sleep(0.001)


async def come(live: Live, turns: int, after: int) -> tuple[int, list[int]]:
    for _ in range(turns):
        await asyncio.sleep(0.002)
    async with live.reader(after) as reader:
        return after, await reader.until(1350)


async def test_a_position_beyond_the_end_is_waited_for_and_nobody_else_waits_with_it() -> None:
    live = Live(*events(2))
    async with live.reader(12, patience=0.1) as early, live.reader(6) as other:
        waiting = asyncio.create_task(early.next())
        assert (await other.next()) == News([], 6)
        assert (await waiting) == News([], 12)
        assert (await early.next()) == News([], 12, end=6)
        live.log.append(*events(3))
        assert await other.until(15) == [9, 12, 15]
        assert await early.until(15) == [15]


async def test_what_a_selection_leaves_out_moves_the_position_on() -> None:
    live = Live(*events(2))
    async with live.reader(selection=Selection(kind=type(opened()))) as reader:
        assert await reader.next() == News([], 6)
        live.log.append(*events(1), opened())
        assert await reader.until(12) == [12]


async def test_without_news_a_reader_is_told_that() -> None:
    live = Live(*events(1))
    async with live.reader(patience=0.01) as reader:
        assert await reader.next() == News([b"3"], 3)
        for _ in range(3):
            assert await reader.next() == News([], 3)


async def test_a_tail_whose_connection_is_lost_goes_on_from_its_position() -> None:
    live = Live(*events(1))
    live.log.unreachable = 2
    async with live.reader() as reader:
        assert await reader.until(3) == [3]
        live.log.mishaps = [Unavailable(), Unavailable()]
        live.log.append(*events(2))
        assert await reader.until(9) == [6, 9]


async def test_a_tail_that_can_not_look_at_the_log_ends_its_readers_and_never_tells_them_that_nothing_is_new() -> None:
    live = Live(*events(1), silent=0.1)
    async with live.reader(patience=5) as reader:
        assert await reader.until(3) == [3]
        live.log.unreachable = 10**6
        live.log.mishaps = [Unavailable()]
        live.log.append(*events(1))
        with pytest.raises(Unavailable, match="the log could not be read"):
            await reader.next()
    # Who comes back when it can be looked at is told what was missed.
    live.log.unreachable = 0
    async with live.reader(3) as reader:
        assert await reader.until(6) == [6]


async def test_a_log_that_is_only_quiet_keeps_its_readers() -> None:
    live = Live(*events(1), silent=0.1)
    async with live.reader(patience=0.03) as reader:
        assert await reader.until(3) == [3]
        for _ in range(10):
            assert await reader.next() == News([], 3)


class Unreadable(Exception):
    pass


async def test_an_event_that_nobody_can_read_ends_all_who_rely_on_the_tail_and_nobody_for_ever() -> None:
    live = Live(*events(1))
    async with live.reader() as one, live.reader() as other:
        assert await one.until(3) == await other.until(3) == [3]
        waiting = [asyncio.create_task(reader.next()) for reader in (one, other)]
        await asyncio.sleep(0.05)
        live.log.mishaps = [Unreadable()]
        live.log.append(*events(1))
        for reader in waiting:
            with pytest.raises(Unreadable):
                await reader
    async with live.reader() as again:
        assert await again.until(6) == [3, 6]


async def test_a_tail_that_was_ended_from_outside_leaves_nobody_waiting() -> None:
    live = Live(*events(1))
    async with live.reader() as reader:
        await reader.until(3)
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0.05)
        assert live.tail._reading is not None
        live.tail._reading.cancel()
        with pytest.raises(Unavailable):
            await waiting


async def test_a_reader_who_lets_too_much_wait_is_told_so_and_the_others_are_not_kept() -> None:
    live = Live()
    async with live.reader() as quick, live.reader() as slow:
        await slow.next()
        await quick.next()
        joining = [asyncio.create_task(reader.next()) for reader in (slow, quick)]
        await asyncio.sleep(0.05)
        live.log.append(*events(1))
        await asyncio.gather(*joining)
        live.log.append(*events(QUEUE + 1))
        assert len(await quick.until(live.log.positions[-1])) == QUEUE + 1
        with pytest.raises(ReaderTooSlow):
            await slow.next()


async def test_there_is_room_for_so_many_readers() -> None:
    live = Live(most_readers=1)
    assert (live.feed.readers, live.feed.most_readers) == (0, 1)
    with live.feed.admitted():
        assert live.feed.readers == 1
        with pytest.raises(Unavailable) as full, live.feed.admitted():
            pass
        assert full.value.retry_after == 10
    with live.feed.admitted():
        pass
    assert live.feed.readers == 0
