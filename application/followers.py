"""Followers: code that takes in each event outside of the hot path, each with a position of its own.

A follower gets every event once, in log order. Its results and its position are written in one transaction, so each event
takes effect exactly once, even after a crash at any moment. An event that it can't handle stops the follower, and the
position of that event is noted. It stays stopped until an operator has fixed the cause: a follower never skips an event.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar, runtime_checkable

from application.log import Recorded

LARGEST: Final = 1000
"""Events that are handled in one transaction, at most."""

LARGEST_STRETCH: Final = 2000
"""The same for a follower that needs no events. Its batches cost no memory, and their fixed cost is shared by more events."""

Given = TypeVar("Given", contravariant=True)
Offered = TypeVar("Offered", covariant=True)


ConfirmedPosition: TypeAlias = Callable[[int], Awaitable[int]]
"""For a follower whose effect is in another system, which may lose it. Called before each step with the noted position.

Returns the position from which the follower must go on: the noted one or an earlier one. Raises `Unavailable`.
"""


class CannotReset(Exception):
    """One sentence on why a follower can't be reset."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the log: all events after the position `after`, up to `up_to`, the position of the last one. `events` is their number.
    Without any events, `up_to` is `after`.
    """

    after: int
    up_to: int
    events: int


class AnyFollower(Protocol[Given]):
    """`Given` is the type of the journal's transaction, in which the follower writes its results."""

    @property
    def name(self) -> str:
        """The follower's position is stored under this name. So the name is a contract with the database and never changes."""
        ...

    async def reset(self, position: int, transaction: Given) -> None:
        """Undo the effect of all events after `position`. The follower will get them again. Raises `CannotReset`.

        An operator's process calls this, while another process may still handle events. So anything that the follower keeps in
        memory must stay right after another process has undone effects.
        """
        ...


class Follower(AnyFollower[Given], Protocol[Given]):
    """A follower that handles events."""

    async def handle(self, events: Sequence[Recorded], transaction: Given) -> None:
        """Handle these events, all of them or none. They come after all events that were handled before.

        Writes in `transaction` are committed together with the position. A follower with an effect in another system (a broker)
        gets the same events again if the commit failed, so a repetition must change nothing. Raise `Unavailable` if nothing is
        wrong with the events and the step should be tried again. Any other exception stops the follower until an operator
        resumes it.
        """
        ...


@runtime_checkable
class StretchFollower(AnyFollower[Given], Protocol[Given]):
    """A follower whose work is done where the log is, such as in one statement. The log's events never leave the database for it."""

    async def handle_stretch(self, stretch: Stretch, transaction: Given) -> None:
        """Handle the events of a stretch, all of them or none. The same rules apply as to `Follower.handle`.

        The types of the events are known, because the journal has checked them. All else that can be wrong with an event must raise
        an exception here.
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

    async def stretch_after(self, position: int, limit: int) -> Stretch:
        """The stretch of these events. Raises `UnreadableEvent` if any of them has an unknown type."""
        ...

    def move(self, position: int, to: int) -> AbstractAsyncContextManager[Offered | None]:
        """A transaction in which the follower moves from one position to another.

        Gives None, and moves nothing, if the follower was paused, stopped or reset meanwhile.
        """
        ...

    async def stop(self, position: int, failed_position: int, error: Exception) -> None:
        """Record and log that the event at `failed_position` has stopped the follower, which is at `position`."""
        ...
