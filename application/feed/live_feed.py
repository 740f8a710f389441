"""Following the feed: existing events come from the database, new events from the tail, without a gap between them."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from application.feed.feed import CHUNK, EventFeed, Selection, readable
from application.feed.live_tail import Encode, LiveTail
from domain.errors import Unavailable


class News(NamedTuple):
    """Events as the bytes that a reader gets, and the position to go on from. The position may move without events.

    `end` is the end of the log if the log ends before `position`; otherwise None.
    """

    encoded: list[bytes]
    position: int
    end: int | None = None


class LiveFeed:
    """Serves at most `most_readers` at a time. Each reader costs a connection, a queue, and work for every event."""

    def __init__(self, feed: EventFeed, tail: LiveTail, encode: Encode, *, most_readers: int) -> None:
        self._feed = feed
        self._tail = tail
        self._encode = encode
        self.most_readers = most_readers
        self._readers = 0

    @property
    def readers(self) -> int:
        return self._readers

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A reader holds a place inside this context. Raises `Unavailable` if all places are taken."""
        if self._readers >= self.most_readers:
            raise Unavailable(f"{self._readers} readers follow the feed already", retry_after=10)
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    async def follow(self, after: int, selection: Selection, *, patience: float) -> AsyncGenerator[News, None]:
        """The selected events after a position, without end. After `patience` seconds without an event it yields an empty `News`.

        Raises the error with which `LiveTail` ends its readers.
        """
        position, more, audience = after, True, selection.audience
        while more:
            news, more = await self._read(position, selection)
            position = news.position
            yield news
        # The tail starts at the end of the log at the latest. If the reader's position is beyond the end, the reader waits and
        # is told so: after a failover, the log will be continued at a higher position.
        reached = await self._feed.end(at_least=position)
        with self._tail.join(min(position, reached)) as subscription:
            while position < subscription.start:
                news, _ = await self._read(position, selection, at_least=subscription.start)
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

    async def _read(self, after: int, selection: Selection, *, at_least: int = 0) -> tuple[News, bool]:
        found = await self._feed.read(after, CHUNK, selection, at_least=at_least)
        piece = readable(found, selection.audience, self._encode)
        return News(piece.made, piece.position), piece.more
