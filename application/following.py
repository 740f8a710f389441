"""Moves a follower along the log."""

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from typing import Generic, TypeVar

from application.followers import (
    LARGEST,
    LARGEST_STRETCH,
    ConfirmedPosition,
    Follower,
    Journal,
    Stretch,
    StretchFollower,
)
from application.log import UnreadableEvent
from domain.errors import Unavailable

Transaction = TypeVar("Transaction")


class Step(Enum):
    """The result of a step."""

    ON = auto()
    """There may be more events to handle now."""
    CAUGHT_UP = auto()
    """A moment ago, the log had no more events."""
    HELD = auto()
    """Paused, or stopped by an event."""


class _Refused(Exception):
    """`count` events could not be handled. `position` is that of the bad one, if it is known: a single one is."""

    def __init__(self, count: int, position: int, error: Exception) -> None:
        super().__init__()
        self.count = count
        self.position = position
        self.error = error


class Following(Generic[Transaction]):
    """Moves one follower along the log, step by step. `handled` counts the events."""

    def __init__(
        self,
        follower: Follower[Transaction] | StretchFollower[Transaction],
        journal: Journal[Transaction],
        *,
        largest: int | None = None,
        stands_at: ConfirmedPosition | None = None,
    ) -> None:
        self._follower = follower
        self._journal = journal
        self._stands_at = stands_at
        self._largest = largest or (LARGEST_STRETCH if isinstance(follower, StretchFollower) else LARGEST)
        self._size = self._largest
        self.handled = 0

    async def step(self) -> Step:
        """Handle the next events, if there are any. Raises `Unavailable`; then nothing has changed.

        If a batch can't be handled, the next step takes half as many events, down to a single one. So all events before the
        bad one are handled, and the bad one stops the follower.
        """
        state = await self._journal.state()
        if state.stopped:
            return Step.HELD
        if self._stands_at is not None and (position := await self._stands_at(state.position)) < state.position:
            async with self._journal.move(state.position, position):
                return Step.ON
        asked = self._size
        try:
            handled = await self._handle_next(state.position)
        except _Refused as refused:
            if refused.count == 1:
                await self._journal.stop(state.position, refused.position, refused.error)
                return Step.HELD
            self._size = refused.count // 2
            return Step.ON
        if handled is None:
            return Step.ON
        self.handled += handled
        self._size = min(asked * 2, self._largest)
        # To look once more and find nothing would cost as much as to handle a few events.
        return Step.CAUGHT_UP if handled < asked else Step.ON

    async def _handle_next(self, position: int) -> int | None:
        """The number of events that were handled. None if another process has paused or moved the follower meanwhile."""
        stretch, handle = await self._next(position)
        if not stretch.events:
            return 0
        try:
            async with self._journal.move(position, stretch.up_to) as transaction:
                if transaction is None:
                    return None
                await handle(transaction)
        except Unavailable:
            raise
        except Exception as error:
            raise _Refused(stretch.events, stretch.up_to, error) from error
        return stretch.events

    async def _next(self, position: int) -> tuple[Stretch, Callable[[Transaction], Awaitable[None]]]:
        """The next events, and what handles them."""
        follower = self._follower
        try:
            if isinstance(follower, StretchFollower):
                stretch = await self._journal.stretch_after(position, self._size)
                return stretch, partial(follower.handle_stretch, stretch)
            events = await self._journal.read_after(position, self._size)
        except UnreadableEvent as error:
            raise _Refused(self._size, error.position, error) from error
        end = events[-1].position if events else position
        return Stretch(position, end, len(events)), partial(follower.handle, events)
