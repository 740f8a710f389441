"""A log in memory, with the ports of who reads it: a feed that is asked, and a tail that is told."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

from typing_extensions import override

from application.feed.feed import EventFeed, Selection, Slice
from application.feed.live_tail import LogWatch
from application.log import Recorded, UnreadableEvent
from domain.continued_log import Continuation
from domain.errors import Unavailable
from domain.events import Event, LogContinued


class MemoryFeed(EventFeed, LogWatch):
    """`searched`: events that are looked at for one piece. `mishaps` are raised by the tail's next readings, in order."""

    def __init__(self, *events: Event, searched: int = 10_000) -> None:
        self.log: list[Recorded] = []
        self.searched = searched
        self.mishaps: list[Exception] = []
        self.unreachable = 0
        self.watching = 0
        self._grown = asyncio.Event()
        self.append(*events)

    def append(self, *events: Event) -> None:
        """At every third position, since positions have gaps."""
        for event in events:
            self.log.append(Recorded(3 * len(self.log) + 3, event))
        self._grown.set()

    @property
    def positions(self) -> list[int]:
        return [recorded.position for recorded in self.log]

    async def read(self, after: int, limit: int, selection: Selection, *, at_least: int = 0) -> Slice:
        await asyncio.sleep(0)
        looked_at = [recorded for recorded in self.log if recorded.position > after]
        found: list[Recorded] = []
        position = after
        for count, recorded in enumerate(looked_at):
            if len(found) == limit or count == self.searched:
                return Slice(found, position, more=True)
            position = recorded.position
            if selection.has(recorded.event):
                found.append(recorded)
        return Slice(found, position, more=False)

    async def end(self, *, at_least: int = 0) -> int:
        return self.positions[-1] if self.log else 0

    async def continuations(self) -> Sequence[Continuation]:
        return [Continuation.of(*one) for one in self.log if isinstance(one.event, LogContinued)]

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[LogWatch]:
        if self.unreachable:
            self.unreachable -= 1
            raise Unavailable
        self.watching += 1
        try:
            yield self
        finally:
            self.watching -= 1

    async def read_after(self, position: int, limit: int) -> Sequence[Recorded]:
        await asyncio.sleep(0.001)
        if self.mishaps:
            raise self.mishaps.pop(0)
        return [recorded for recorded in self.log if recorded.position > position][:limit]

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._grown.wait()
        self._grown.clear()


class BrokenFeed(MemoryFeed):
    """Can't read what is behind a position."""

    def __init__(self, *events: Event, readable_to: int) -> None:
        super().__init__(*events)
        self._readable_to = readable_to

    @override
    async def read(self, after: int, limit: int, selection: Selection, *, at_least: int = 0) -> Slice:
        piece = await super().read(after, limit, selection, at_least=at_least)
        return Slice(self._decoded(piece.events), piece.position, piece.more)

    def _decoded(self, events: Iterable[Recorded]) -> Iterator[Recorded]:
        for recorded in events:
            if recorded.position > self._readable_to:
                error = UnreadableEvent()
                error.position = recorded.position
                raise error
            yield recorded
