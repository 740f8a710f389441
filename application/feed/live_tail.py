"""The end of the log, read once for all who follow it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Final, NamedTuple, Protocol

from application.feed.feed import CHUNK
from application.isolation import Cleared
from domain.errors import Unavailable
from domain.events import Event

QUEUE: Final = 5_000
"""Events that one reader may be behind the tail. Their bytes are shared by all readers."""

POLL: Final = 1.0
"""Seconds after which the tail looks for new events though nobody woke it up."""

PAUSE: Final = 0.02
"""Seconds between two looks at a log that grows all the time: what comes meanwhile is read together."""


SILENT: Final = 10.0
"""Seconds in which nobody could look at the log, after which the tail ends rather than let its readers think that it is quiet."""


Encode = Callable[[Cleared], bytes]
"""Makes the bytes that readers are sent."""


class Frame(NamedTuple):
    """An event of the tail, in the bytes that its readers are sent. It was cleared for the platform, which sees all; whoever hands
    it to a reader clears it for that one."""

    position: int
    event: Event
    encoded: bytes


class ReaderTooSlow(Exception):
    """A reader let more events wait than there is room for."""


class LogWatch(Protocol):
    """The log, for somebody who waits for it to grow. Raises `Unavailable` when the database has gone."""

    async def read_after(self, position: int, limit: int) -> Sequence[Cleared]:
        """For the platform, the first `limit` events after a position, up to one that can't be read. Raises `UnreadableEvent` where it is the first."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when something may have been appended, at the latest after so many seconds."""
        ...


class Subscription:
    """What the tail has for one reader: every event behind `start`."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._waiting: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._over: BaseException | None = None

    async def next(self, patience: float) -> list[Frame]:
        """All that is waiting, at least one event, or none after so many seconds. Raises what ended the tail, or
        `ReaderTooSlow`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._news.wait()
        if self._over is not None:
            raise self._over
        frames = list(self._waiting)
        self._waiting.clear()
        self._news.clear()
        return frames

    def put(self, frames: Sequence[Frame]) -> None:
        self._waiting.extend(frames)
        self._news.set()
        if len(self._waiting) > QUEUE:
            self.end(ReaderTooSlow())

    def end(self, why: BaseException) -> None:
        self._waiting.clear()
        self._over = why
        self._news.set()


class LiveTail:
    """One for a process. It reads only while there are readers, each event once, and encodes it once.

    `watch` opens a connection of its own; `encode` makes the bytes that readers are sent. It looks at the log at least every `poll` seconds. When
    for `silent` seconds it couldn't, it ends with `Unavailable`.
    """

    def __init__(
        self,
        watch: Callable[[], AbstractAsyncContextManager[LogWatch]],
        encode: Encode,
        *,
        poll: float = POLL,
        silent: float = SILENT,
    ) -> None:
        self._watch = watch
        self._encode = encode
        self._poll = poll
        self._silent = silent
        self._readers: set[Subscription] = set()
        self._position = 0
        self._reading: asyncio.Task[None] | None = None

    @contextmanager
    def join(self, position: int) -> Iterator[Subscription]:
        """Follow the tail, wherever it is. The first reader brings the position that it starts from, which must be one
        that the log has reached; a later one reads up to the subscription's `start` by itself."""
        if self._reading is None:
            self._position = position
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._ended)
        subscription = Subscription(self._position)
        self._readers.add(subscription)
        try:
            yield subscription
        finally:
            self._leave(subscription)

    def _leave(self, subscription: Subscription) -> None:
        self._readers.discard(subscription)
        if not self._readers and self._reading is not None:
            self._reading.cancel()
            self._reading = None

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._silent) as silence:
                while True:
                    # Whatever becomes of the connection, the tail goes on from its position.
                    with suppress(Unavailable):
                        async with self._watch() as log:
                            while True:
                                await self._look(log, silence)
                    await asyncio.sleep(self._poll)
        except TimeoutError as error:
            raise Unavailable(f"for {self._silent} s nobody could look whether the log has grown") from error

    async def _look(self, log: LogWatch, silence: asyncio.Timeout) -> None:
        recorded = await log.read_after(self._position, CHUNK)
        silence.reschedule(asyncio.get_running_loop().time() + self._silent)
        if recorded:
            frames = [Frame(*one, self._encode(one)) for one in recorded]
            self._position = frames[-1].position
            for reader in self._readers:
                reader.put(frames)
        if len(recorded) < CHUNK:
            await asyncio.sleep(PAUSE)
            await log.wait(self._poll)

    def _ended(self, reading: asyncio.Task[None]) -> None:
        """Whatever else ended the reading, an event that nobody can read above all, ends with it who relied on it."""
        why = None if reading.cancelled() else reading.exception()
        if reading is self._reading:
            self._reading = None
            for reader in self._readers:
                reader.end(why or Unavailable("the tail of the log has ended"))
