"""Following the feed: what is there already from the database, what is to come from the tail, with nothing between them."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from application.feed.feed import CHUNK, EventFeed, Selection, readable
from application.feed.live_tail import Encode, LiveTail
from domain.errors import Unavailable


class News(NamedTuple):
    """Events, in the bytes that a reader is sent, and the position to go on from, which moves without any, too. `end` is where the
    log ends, where that is before this position; otherwise None."""

    encoded: list[bytes]
    position: int
    end: int | None = None


class LiveFeed:
    """At most `most_readers` at a time: each costs a connection, a queue, and its share of every event."""

    def __init__(self, feed: EventFeed, tail: LiveTail, encode: Encode, *, most_readers: int) -> None:
        self._feed = feed
        self._tail = tail
        self._encode = encode
        self._most_readers = most_readers
        self._readers = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """The time for which a reader has a place. Raises `Unavailable` where all are taken."""
        if self._readers >= self._most_readers:
            raise Unavailable(f"{self._readers} readers follow the feed already", retry_after=10)
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    async def follow(self, after: int, selection: Selection, *, patience: float) -> AsyncGenerator[News, None]:
        """Whatever is selected behind a position, for ever. Without news for `patience` seconds it says that, too.

        Raises what `LiveTail` ends its readers with.
        """
        position, more, audience = after, True, selection.audience
        while more:
            news, more = await self._read(position, selection)
            position = news.position
            yield news
        # The tail starts where the log is. A position beyond its end is waited for, while the reader hears that it is: after a
        # failover, the log will be continued further on.
        reached = await self._feed.end()
        with self._tail.join(min(position, reached)) as subscription:
            while position < subscription.start:
                news, _ = await self._read(position, selection)
                position = news.position
                yield news
            while True:
                encoded = []
                for frame in await subscription.next(patience):
                    reached = frame.position
                    if frame.position > position:
                        position = frame.position
                        if selection.has(frame.event):
                            audience.clear(frame.event, frame.position)
                            encoded.append(frame.encoded)
                yield News(encoded, position, reached if reached < position else None)

    async def _read(self, after: int, selection: Selection) -> tuple[News, bool]:
        piece = readable(await self._feed.read(after, CHUNK, selection), selection.audience, self._encode)
        return News(piece.made, piece.position), piece.more
