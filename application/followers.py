"""Followers: whatever is made of the log behind the hot path, each at a position of its own.

A follower is handed every event once, in log order. What it makes of them and the position it has reached are
written in one transaction, so it takes effect exactly once, whatever dies when. An event that it can't handle stops it,
with its position, until somebody has seen to the cause: no event is ever passed over.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from application.ports import Recorded, UnreadableEvent
from domain.errors import Unavailable

LARGEST: Final = 1000
"""Events that are handled in one transaction."""

Transaction = TypeVar("Transaction")
Given = TypeVar("Given", contravariant=True)
Offered = TypeVar("Offered", covariant=True)


StandsAt: TypeAlias = Callable[[int], Awaitable[int]]
"""Asked before each step by a follower whose effect is elsewhere and may be lost there: given the position that was noted,
the one from which it must go on, which is that or an earlier one. Raises `Unavailable`."""


class CannotReset(Exception):
    """One sentence on why a follower can't be set back."""


class Follower(Protocol[Given]):
    """`Given` is the transaction in which its effect belongs, as the journal has it."""

    @property
    def name(self) -> str:
        """Under which its position is kept: part of the contract with the database, so it never changes."""
        ...

    async def handle(self, events: Sequence[Recorded], transaction: Given) -> None:
        """Take in these events, which come after all that were handed over before. All of them, or none.

        What is written in `transaction` is committed with the position. A follower with an effect elsewhere (a broker)
        must see to it that a repetition changes nothing: it is handed the same events again where the commit failed.
        Raises `Unavailable` where nothing is wrong with the events and it should be tried again; whatever else it raises
        stops the follower for good.
        """
        ...

    async def reset(self, position: int, transaction: Given) -> None:
        """Undo the effect of all events after `position`, which are about to come again. Raises `CannotReset`.

        This is called in an operator's process, while another one may go on handling: what `handle` keeps in memory
        must be right also after somebody else has undone things.
        """
        ...


@dataclass(frozen=True, slots=True)
class FollowerState:
    """How far a follower is. `failed_position` is that of the event that stopped it."""

    position: int
    paused: bool
    failed_position: int | None

    @property
    def held(self) -> bool:
        return self.paused or self.failed_position is not None


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """What there is to know of a follower. `lag_events` is how many it has yet to handle, exact up to 10,000 and a little
    too large beyond; `lag_seconds` is how long ago the first of them was recorded, 0 where there is none.

    `leading` says whether a process runs it at this moment; `failure`, why the event at `failed_position` stopped it.
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
        """The one thing to know first: "failed", "paused", "running" or "not running"."""
        if self.failed_position is not None:
            return "failed"
        if self.paused:
            return "paused"
        return "running" if self.leading else "not running"


class Journal(Protocol[Offered]):
    """The log, and where one follower stands in it. Every method raises `Unavailable` while the database can't be reached."""

    async def state(self) -> FollowerState: ...

    async def read_after(self, position: int, limit: int) -> Sequence[Recorded]:
        """The first `limit` events after a position. Raises `UnreadableEvent`, whatever else is among them."""
        ...

    def move(self, position: int, to: int) -> AbstractAsyncContextManager[Offered | None]:
        """A transaction in which the follower moves from one position to another.

        Gives None, and moves nothing, where somebody has paused it, stopped it or set it back meanwhile.
        """
        ...

    async def stop(self, position: int, failed_position: int, error: Exception) -> None:
        """Note, and say aloud, that the follower, which stands at `position`, is stopped by the event at `failed_position`."""
        ...


class Step(Enum):
    """What came of a step."""

    ON = auto()
    """There may be more to do at once."""
    CAUGHT_UP = auto()
    HELD = auto()
    """Paused, or stopped by an event."""


class _Refused(Exception):
    """Of `count` events, the first at `position`, one could not be handled."""

    def __init__(self, count: int, position: int, error: Exception) -> None:
        super().__init__()
        self.count = count
        self.position = position
        self.error = error


class Following(Generic[Transaction]):
    """Leads one follower along the log, step by step."""

    def __init__(
        self,
        follower: Follower[Transaction],
        journal: Journal[Transaction],
        *,
        largest: int = LARGEST,
        stands_at: StandsAt | None = None,
    ) -> None:
        self._follower = follower
        self._journal = journal
        self._stands_at = stands_at
        self._largest = largest
        self._size = largest

    async def step(self) -> Step:
        """Handle the next events, if there are any. Raises `Unavailable`, having changed nothing.

        A batch that can't be handled is tried again at half its size, until a single event is left: so all before it
        are handled, and it is the one that stops the follower.
        """
        state = await self._journal.state()
        if state.held:
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
