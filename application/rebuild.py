"""Rebuilding the current preferences from the whole log in a second table, and swapping that table in."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from application.progress import Progress
from domain.errors import Unavailable

STRIDE: Final = 1_000_000
"""Positions folded at a time, starting at an event. This bounds the memory of a rebuild, and sets the steps of its progress report."""

NEARLY_THERE: Final = 500
"""Positions that may be left when writers must wait for the rest: a few milliseconds of work."""

ATTEMPTS: Final = 20
"""How often the swap is tried while another transaction holds a table that it needs."""

PAUSE: Final = 1.0
"""Seconds between two attempts. In this time the requests that waited behind the last attempt are served."""


class Folded(NamedTuple):
    """The counts of a stretch of the log: how many events of users it has, and how many streams begin in it."""

    events: int
    opened: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The live and the rebuilt table, compared at the same position of the log.

    `differing` counts the users who differ. `differences` has a sentence for each of the first ones.
    """

    live_checksum: str
    rebuilt_checksum: str
    differing: int
    differences: list[str]


@dataclass(frozen=True, slots=True)
class RebuildResult:
    events: int
    users: int
    position: int
    comparison: Comparison

    @property
    def equal(self) -> bool:
        return self.comparison.differing == 0


class TableInUse(Unavailable):
    """Another transaction holds a table for longer than the requests that queue behind the swap may wait."""


class Shadow(Protocol):
    """The table that is rebuilt beside the live one. It is empty at first."""

    parts: int
    """The number of parts that the streams are divided into. All parts can be folded at the same time."""

    async def about(self) -> int:
        """About how many events the log has."""
        ...

    async def end(self) -> int:
        """The last position of the log."""
        ...

    async def before_next(self, position: int) -> int:
        """The position just before the next event after `position`, which must not be the last one."""
        ...

    async def fold(self, after: int, up_to: int, part: int) -> Folded:
        """Fold one part of the streams, between two positions of the log, into the shadow. Raises `BrokenStream`."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[int]:
        """Inside, this process sees log and live table as of one moment, while others go on writing. Gives the last position."""
        ...

    async def fold_rest(self, after: int, up_to: int) -> Folded:
        """The same as `fold`, for all parts, inside `snapshot` or `swap`."""
        ...

    async def compare(self) -> Comparison:
        """Compare both tables. Must be called inside a snapshot."""
        ...

    def swap(self) -> AbstractAsyncContextManager[int]:
        """Inside, all other readers and writers wait. At the end the shadow becomes the live table. Gives the last position.

        Raises `TableInUse` before it changes anything.
        """
        ...


class Rebuild:
    """One pass over the log. Its memory doesn't grow with the number of users or events.

    Its progress is counted in events. Positions can't show it: they have gaps of any size.
    """

    def __init__(self, shadow: Shadow, progress: Progress) -> None:
        self._shadow = shadow
        self._progress = progress
        self._position = 0
        self._events = 0
        self._users = 0
        self._about = 0

    async def run(self, *, swap: bool) -> RebuildResult:
        """Rebuild and compare. With `swap`, swap the tables, whatever the comparison finds, because the log is the truth.

        Raises `TableInUse` if the swap isn't possible, and `BrokenStream`. The live table is then unchanged.
        """
        self._about = await self._shadow.about()
        await self._catch_up()
        async with self._shadow.snapshot() as end:
            await self._finish(end)
            comparison = await self._shadow.compare()
        result = RebuildResult(self._events, self._users, self._position, comparison)
        if swap:
            await self._swap()
        return result

    async def _swap(self) -> None:
        for _ in range(ATTEMPTS - 1):
            with suppress(TableInUse):
                return await self._try_to_swap()
            await asyncio.sleep(PAUSE)
        return await self._try_to_swap()

    async def _try_to_swap(self) -> None:
        await self._catch_up()
        async with self._shadow.swap() as end:
            await self._finish(end)

    async def _catch_up(self) -> None:
        """Fold until at most `NEARLY_THERE` positions are left, so that writers can wait for the rest."""
        while (end := await self._shadow.end()) - self._position > NEARLY_THERE:
            while self._position < end:
                after = await self._shadow.before_next(self._position)
                up_to = min(after + STRIDE, end)
                parts = range(self._shadow.parts)
                self._count(up_to, *await asyncio.gather(*(self._shadow.fold(after, up_to, part) for part in parts)))
                self._progress(self._events, max(self._events, self._about))

    async def _finish(self, end: int) -> None:
        if end > self._position:
            self._count(end, await self._shadow.fold_rest(self._position, end))
        self._progress(self._events, self._events)

    def _count(self, position: int, *stretches: Folded) -> None:
        self._position = position
        self._events += sum(folded.events for folded in stretches)
        self._users += sum(folded.opened for folded in stretches)
