"""Followers: code that takes in each event outside of the hot path, each with a position of its own.

A follower gets every event once, in log order. Its results and its position are written in one transaction, so each event
takes effect exactly once, even after a crash at any moment. An event that it can't handle stops the follower, and the
position of that event is noted. It stays stopped until an operator has fixed the cause: a follower never skips an event.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from application.log import Recorded, UnreadableEvent
from domain.errors import Unavailable

LARGEST: Final = 1000
"""Events that are handled in one transaction, at most."""

Transaction = TypeVar("Transaction")
Given = TypeVar("Given", contravariant=True)
Offered = TypeVar("Offered", covariant=True)


ConfirmedPosition: TypeAlias = Callable[[int], Awaitable[int]]
"""For a follower whose effect is in another system, which may lose it. Called before each step with the noted position.

Returns the position from which the follower must go on: the noted one or an earlier one. Raises `Unavailable`.
"""


class CannotReset(Exception):
    """One sentence on why a follower can't be reset."""


class Follower(Protocol[Given]):
    """`Given` is the type of the journal's transaction, in which the follower writes its results."""

    @property
    def name(self) -> str:
        """The follower's position is stored under this name. So the name is a contract with the database and never changes."""
        ...

    async def handle(self, events: Sequence[Recorded], transaction: Given) -> None:
        """Handle these events, all of them or none. They come after all events that were handled before.

        Writes in `transaction` are committed together with the position. A follower with an effect in another system (a broker)
        gets the same events again if the commit failed, so a repetition must change nothing. Raise `Unavailable` if nothing is
        wrong with the events and the step should be tried again. Any other exception stops the follower until an operator
        resumes it.
        """
        ...

    async def reset(self, position: int, transaction: Given) -> None:
        """Undo the effect of all events after `position`. The follower will get them again. Raises `CannotReset`.

        An operator's process calls this, while another process may still handle events. So anything that `handle` keeps in
        memory must stay right after another process has undone effects.
        """
        ...


@dataclass(frozen=True, slots=True)
class FollowerState:
    """How far a follower is. `failed_position` is the position of the event that stopped it."""

    position: int
    paused: bool
    failed_position: int | None

    @property
    def stopped(self) -> bool:
        return self.paused or self.failed_position is not None


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """The status of a follower, for operators.

    `lag_events` is how many events it has yet to handle: exact up to 10,000, and a little too large beyond. `lag_seconds` is how
    long ago the first of them was recorded, 0 if there is none. `leading` says whether a process runs the follower now.
    `failure` says why the event at `failed_position` stopped it.
    """

    name: str
    position: int
    paused: bool
    failed_position: int | None
    failure: str | None
    leading: bool
    lag_events: int
    lag_seconds: float

    @property
    def state(self) -> str:
        """The status in one word: "failed", "paused", "running" or "not running"."""
        if self.failed_position is not None:
            return "failed"
        if self.paused:
            return "paused"
        return "running" if self.leading else "not running"


class Journal(Protocol[Offered]):
    """The log, and one follower's position in it. Every method raises `Unavailable` while the database can't be reached."""

    async def state(self) -> FollowerState: ...

    async def read_after(self, position: int, limit: int) -> Sequence[Recorded]:
        """The first `limit` events after a position. Raises `UnreadableEvent` if any of them can't be read."""
        ...

    def move(self, position: int, to: int) -> AbstractAsyncContextManager[Offered | None]:
        """A transaction in which the follower moves from one position to another.

        Gives None, and moves nothing, if the follower was paused, stopped or reset meanwhile.
        """
        ...

    async def stop(self, position: int, failed_position: int, error: Exception) -> None:
        """Record and log that the event at `failed_position` has stopped the follower, which is at `position`."""
        ...


class Step(Enum):
    """The result of a step."""

    ON = auto()
    """There may be more events to handle now."""
    CAUGHT_UP = auto()
    HELD = auto()
    """Paused, or stopped by an event."""


class _Refused(Exception):
    """One of `count` events could not be handled. `position` is that of the first one."""

    def __init__(self, count: int, position: int, error: Exception) -> None:
        super().__init__()
        self.count = count
        self.position = position
        self.error = error


class Following(Generic[Transaction]):
    """Moves one follower along the log, step by step. `handled` counts the events."""

    def __init__(
        self,
        follower: Follower[Transaction],
        journal: Journal[Transaction],
        *,
        largest: int = LARGEST,
        stands_at: ConfirmedPosition | None = None,
    ) -> None:
        self._follower = follower
        self._journal = journal
        self._stands_at = stands_at
        self._largest = largest
        self._size = largest
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
        try:
            events = await self._read(state.position)
            if not events:
                return Step.CAUGHT_UP
            await self._handle(state.position, events)
        except _Refused as refused:
            if refused.count == 1:
                await self._journal.stop(state.position, refused.position, refused.error)
                return Step.HELD
            self._size = refused.count // 2
        else:
            self._size = min(self._size * 2, self._largest)
            self.handled += len(events)
        return Step.ON

    async def _read(self, position: int) -> Sequence[Recorded]:
        try:
            return await self._journal.read_after(position, self._size)
        except UnreadableEvent as error:
            raise _Refused(self._size, error.position, error) from error

    async def _handle(self, position: int, events: Sequence[Recorded]) -> None:
        try:
            async with self._journal.move(position, events[-1].position) as transaction:
                if transaction is not None:
                    await self._follower.handle(events, transaction)
        except Unavailable:
            raise
        except Exception as error:
            raise _Refused(len(events), events[0].position, error) from error
