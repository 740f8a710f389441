"""Making the current preferences anew from the whole log, beside the live ones, and putting them in their place."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from domain.errors import Unavailable

STRIDE: Final = 1_000_000
"""Positions folded at a time, from an event on: what bounds the memory of a rebuild, and the steps in which its progress is told."""

NEARLY_THERE: Final = 500
"""Positions that may be left when the writers are made to wait for the rest: a few milliseconds' worth."""

ATTEMPTS: Final = 20
"""How often the swap is tried while somebody else holds a table that it needs."""

PAUSE: Final = 1.0
"""Seconds between two attempts, in which those whom one of them kept waiting are served."""

Progress = Callable[[int, int], None]
"""Called with how many events were read, and about how many there are. Positions would say nothing: they have gaps of any size."""


class Folded(NamedTuple):
    """What a stretch of the log held: the events of users, and how many streams they began."""

    events: int
    opened: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tables at the same position of the log. `differences` has a sentence for each of the first differing users."""

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


class BrokenStream(Exception):
    """A stream has a gap: the log is not whole, and nothing that is made from it could be trusted."""


class TableInUse(Unavailable):
    """Somebody has held a table for longer than everybody behind us can be made to wait for it."""


class Shadow(Protocol):
    """A table beside the live one, empty at first."""

    parts: int
    """Into how many parts the streams are divided, each of which can be folded at the same time as the others."""

    async def about(self) -> int:
        """About how many events the log has."""
        ...

    async def end(self) -> int:
        """The last position of the log."""
        ...

    async def before_next(self, position: int) -> int:
        """The position just before the next event behind one that isn't the last."""
        ...

    async def fold(self, after: int, up_to: int, part: int) -> Folded:
        """Fold one part of the log between two positions into the shadow. Raises `BrokenStream`."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[int]:
        """A moment at which log and live table stand still for us, though not for others. Gives the last position."""
        ...

    async def fold_rest(self, after: int, up_to: int) -> Folded:
        """The same as `fold`, for all parts, and within the moment that is held by `snapshot` or `swap`."""
        ...

    async def compare(self) -> Comparison:
        """Both tables, within a snapshot."""
        ...

    def swap(self) -> AbstractAsyncContextManager[int]:
        """Nobody reads or writes inside; at the end the shadow is the live table. Gives the last position.

        Raises `TableInUse`, before anything was done.
        """
        ...


class Rebuild:
    """One pass over the log. Memory grows neither with the users nor with the events."""

    def __init__(self, shadow: Shadow, progress: Progress) -> None:
        self._shadow = shadow
        self._progress = progress
        self._position = 0
        self._events = 0
        self._users = 0
        self._about = 0

    async def run(self, *, swap: bool) -> RebuildResult:
        """Rebuild, compare, and swap where that is asked for, whatever the comparison says: the log is the truth.

        Raises `TableInUse` if the swap couldn't be made, and `BrokenStream`. The live table is then as it was.
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
        """Until so little is left that somebody can wait for the rest of it."""
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
