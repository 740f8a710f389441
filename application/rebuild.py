"""Making the current preferences anew from the whole log, beside the live ones, and putting them in their place."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from domain.events import PreferencesEvent
from projections.current_preferences import CurrentPreferences, project

NEARLY_THERE = 500
"""Events that may be left when the writers are made to wait for the rest: a few milliseconds' worth."""

REPORT_EVERY = 5000
"""Events between two reports of progress."""

Progress = Callable[[int, int], None]
"""Called with the position reached, and the last one."""


class Placed(NamedTuple):
    """A row, and the position in the log of the last event in it."""

    row: CurrentPreferences
    position: int


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


class Shadow(Protocol):
    """An empty table beside the live one, and the log to fill it from."""

    def snapshot(self) -> AbstractAsyncContextManager[int]:
        """A moment at which log and live table stand still for us, though not for others. Gives the last position."""
        ...

    def swap(self) -> AbstractAsyncContextManager[None]:
        """Writers wait inside; at the end the shadow is the live table."""
        ...

    def events(self, after: int) -> AsyncIterator[tuple[int, PreferencesEvent]]:
        """The events after a position, in log order."""
        ...

    async def write(self, rows: Collection[Placed], *, fresh: bool) -> None:
        """Put rows into the shadow; `fresh` promises that none of them is there yet."""
        ...

    async def compare(self) -> Comparison: ...


class Rebuild:
    """One pass over the log. Memory grows with the users, not with the events."""

    def __init__(self, shadow: Shadow, progress: Progress) -> None:
        self._shadow = shadow
        self._progress = progress
        # By the stream's number: a UUID is hashed and compared in Python, three times an event.
        self._placed: dict[int, Placed] = {}
        self._position = 0
        self._events = 0

    async def run(self, *, swap: bool) -> RebuildResult:
        """Rebuild, compare, and swap where that is asked for, whatever the comparison says: the log is the truth."""
        async with self._shadow.snapshot() as end:
            await self._fold(end)
            await self._shadow.write(self._placed.values(), fresh=True)
            comparison = await self._shadow.compare()
        result = RebuildResult(self._events, len(self._placed), self._position, comparison)
        if swap:
            while await self._catch_up() > NEARLY_THERE:
                pass
            async with self._shadow.swap():
                await self._catch_up()
        return result

    async def _catch_up(self) -> int:
        before = self._events
        touched = await self._fold(None)
        await self._shadow.write([self._placed[stream] for stream in touched], fresh=False)
        return self._events - before

    async def _fold(self, end: int | None) -> Iterable[int]:
        touched: set[int] = set()
        placed = self._placed
        async for position, event in self._shadow.events(self._position):
            stream = event.originator_id.int
            before = placed.get(stream)
            placed[stream] = Placed(project(before.row if before else None, event), position)
            touched.add(stream)
            self._position = position
            self._events += 1
            if end is not None and self._events % REPORT_EVERY == 0:
                self._progress(position, end)
        if end is not None:
            self._progress(end, end)
        return touched
