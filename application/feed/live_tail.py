"""The tail: new events at the end of the log, read once for all readers of the live feed."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Final, NamedTuple, Protocol

from application.feed.feed import CHUNK
from application.log import Cleared
from domain.errors import Unavailable
from domain.events import Event

QUEUE: Final = 5_000
"""Events that may wait for one reader. All readers share the bytes of these events."""

POLL: Final = 1.0
"""Seconds after which the tail looks for new events even without a notification."""

PAUSE: Final = 0.02
"""Seconds between two reads of a log that grows all the time. Events that arrive in between are read together."""


SILENT: Final = 10.0
"""If the tail can't read the log for this many seconds, it ends. Otherwise its readers would believe that there are no new events."""


Encode = Callable[[Cleared], bytes]
"""Makes the bytes that readers get."""


class Frame(NamedTuple):
    """An event of the tail, and the bytes that its readers get.

    It is cleared for the platform, which sees all events. `LiveFeed` must clear it for each reader.
    """

    position: int
    event: Event
    encoded: bytes


class ReaderTooSlow(Exception):
    """More than `QUEUE` events wait for a reader."""


class LogWatch(Protocol):
    """Reads the log and waits for it to grow. Raises `Unavailable` when the connection to the database is lost."""

    async def read_after(self, position: int, limit: int) -> Sequence[Cleared]:
        """The first `limit` events after a position, cleared for the platform, up to the first unreadable event.

        Raises `UnreadableEvent` if the very first event is unreadable.
        """
        ...

    async def wait(self, seconds: float) -> None:
        """Return when new events may have been appended, at the latest after `seconds`."""
        ...


class Subscription:
    """The queue of one reader of the tail. It gets every event after `start`."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._waiting: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._over: BaseException | None = None

    async def next(self, patience: float) -> list[Frame]:
        """Wait for at least one event and return all waiting events; none after `patience` seconds.

        Raises the error that ended the tail, or `ReaderTooSlow`.
        """
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
    """Each process has one. It reads only while there are readers. It reads each event once and encodes it once.

    `watch` opens a connection of its own. `encode` makes the bytes that readers get. The tail looks at the log at least every
    `poll` seconds. If it can't for `silent` seconds, it ends with `Unavailable`.
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
        """Follow the tail. The first reader's `position` is where the tail starts; the log must have reached it.

        A later reader gets the tail at its present place, and must read the events up to the subscription's `start` itself.
        """
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
                    # If the connection is lost, the tail goes on from its position with a new one.
                    with suppress(Unavailable):
                        async with self._watch() as log:
                            while True:
                                await self._look(log, silence)
                    await asyncio.sleep(self._poll)
        except TimeoutError as error:
            raise Unavailable(f"for {self._silent} s the log could not be read") from error

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
        """If the reading ends by itself, for example at an unreadable event, end every subscription with the same error."""
        why = None if reading.cancelled() else reading.exception()
        if reading is self._reading:
            self._reading = None
            for reader in self._readers:
                reader.end(why or Unavailable("the tail of the log has ended"))
