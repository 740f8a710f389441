"""One follower, step by step: what moves it, what holds it, and what stops it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from application.followers import (
    LARGEST,
    LARGEST_STRETCH,
    Follower,
    FollowerState,
    FollowerStatus,
    Journal,
    Stretch,
    StretchFollower,
)
from application.following import Following, Step
from application.log import Recorded, UnreadableEvent
from domain.errors import Unavailable
from tests.support.events import toggled

Written = list[int]


class MemoryJournal(Journal[Written]):
    """A log with gaps in its positions, and what the follower has made of it. `unreadable` are positions."""

    def __init__(self, events: int = 20) -> None:
        self.log = [Recorded(number * 3, toggled(number, "news", True)) for number in range(1, events + 1)]
        self.unreadable: set[int] = set()
        self.standing = FollowerState(0, paused=False, failed_position=None)
        self.written: Written = []
        self.failure: Exception | None = None
        self.meanwhile: FollowerState | None = None

    async def state(self) -> FollowerState:
        return self.standing

    async def read_after(self, position: int, limit: int) -> Sequence[Recorded]:
        read = [recorded for recorded in self.log if recorded.position > position][:limit]
        for recorded in read:
            if recorded.position in self.unreadable:
                error = UnreadableEvent()
                error.position = recorded.position
                raise error
        return read

    async def stretch_after(self, position: int, limit: int) -> Stretch:
        read = await self.read_after(position, limit)
        return Stretch(position, read[-1].position if read else position, len(read))

    @asynccontextmanager
    async def move(self, position: int, to: int) -> AsyncIterator[Written | None]:
        if self.meanwhile is not None:
            self.standing, self.meanwhile = self.meanwhile, None
        if self.standing != FollowerState(position, paused=False, failed_position=None):
            yield None
            return
        before = [*self.written]
        try:
            yield self.written
        except BaseException:
            self.written = before
            raise
        self.standing = FollowerState(to, paused=False, failed_position=None)

    async def stop(self, position: int, failed_position: int, error: Exception) -> None:
        self.standing = FollowerState(position, paused=False, failed_position=failed_position)
        self.failure = error


class Writing(Follower[Written]):
    """Writes down the positions, and fails at those in `poison`."""

    name = "writing"

    def __init__(self, poison: set[int] | None = None, error: Exception | None = None) -> None:
        self.poison = poison or set()
        self.error = error or ValueError("no good")
        self.batches: list[int] = []

    async def handle(self, events: Sequence[Recorded], transaction: Written) -> None:
        self.batches.append(len(events))
        for position, _ in events:
            transaction.append(position)
            if position in self.poison:
                raise self.error

    async def reset(self, position: int, transaction: Written) -> None:
        transaction[:] = [written for written in transaction if written <= position]


class WritingStretches(StretchFollower[Written]):
    """The same without being handed any event: it looks into the log itself."""

    name = "writing"

    def __init__(self, journal: MemoryJournal, poison: set[int] | None = None, error: Exception | None = None) -> None:
        self.log = journal.log
        self.inner = Writing(poison, error)

    async def handle_stretch(self, stretch: Stretch, transaction: Written) -> None:
        events = [recorded for recorded in self.log if stretch.after < recorded.position <= stretch.up_to]
        assert len(events) == stretch.events
        await self.inner.handle(events, transaction)

    async def reset(self, position: int, transaction: Written) -> None:
        await self.inner.reset(position, transaction)


EitherKind = Writing | WritingStretches
MakeFollower = Callable[..., tuple[EitherKind, Writing]]


def handed_events(_: MemoryJournal, *given: Any) -> tuple[EitherKind, Writing]:
    follower = Writing(*given)
    return follower, follower


def handed_stretches(journal: MemoryJournal, *given: Any) -> tuple[EitherKind, Writing]:
    follower = WritingStretches(journal, *given)
    return follower, follower.inner


of_either_kind = pytest.mark.parametrize("make", [handed_events, handed_stretches], ids=["events", "stretches"])


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


async def run(follower: EitherKind, journal: MemoryJournal, largest: int = 8) -> Step:
    following = Following(follower, journal, largest=largest)
    while (step := await following.step()) is Step.ON:
        pass
    return step


@of_either_kind
async def test_all_events_are_handled_in_batches_and_then_it_has_caught_up(
    journal: MemoryJournal, make: MakeFollower
) -> None:
    follower, written = make(journal)
    assert await run(follower, journal) is Step.CAUGHT_UP
    assert journal.written == [position for position, _ in journal.log]
    assert journal.standing.position == 60
    assert written.batches == [8, 8, 4]


@of_either_kind
async def test_an_empty_log_is_caught_up_with(make: MakeFollower) -> None:
    journal = MemoryJournal(0)
    follower, written = make(journal)
    assert await run(follower, journal) is Step.CAUGHT_UP
    assert written.batches == []


@of_either_kind
async def test_a_batch_that_is_not_full_is_the_last_one_and_needs_no_further_look(
    journal: MemoryJournal, make: MakeFollower
) -> None:
    following = Following(make(journal)[0], journal, largest=16)
    assert [await following.step() for _ in range(2)] == [Step.ON, Step.CAUGHT_UP]
    assert (journal.standing.position, following.handled) == (60, 20)


@pytest.mark.parametrize(("make", "largest"), [(handed_events, LARGEST), (handed_stretches, LARGEST_STRETCH)])
async def test_a_follower_that_is_handed_no_events_takes_more_at_once(make: MakeFollower, largest: int) -> None:
    journal = MemoryJournal(largest + 1)
    follower, written = make(journal)
    following = Following(follower, journal)
    while await following.step() is Step.ON:
        pass
    assert written.batches == [largest, 1]


@pytest.mark.parametrize(
    "state", [FollowerState(3, paused=True, failed_position=None), FollowerState(3, paused=False, failed_position=6)]
)
async def test_who_is_paused_or_stopped_is_handed_nothing(journal: MemoryJournal, state: FollowerState) -> None:
    journal.standing = state
    assert await run(Writing(), journal) is Step.HELD
    assert (journal.standing, journal.written) == (state, [])


@of_either_kind
@pytest.mark.parametrize("poison", [3, 6, 27, 57, 60])
async def test_an_event_that_it_can_not_handle_stops_it_and_all_before_it_are_handled(
    journal: MemoryJournal, poison: int, make: MakeFollower
) -> None:
    assert await run(make(journal, {poison})[0], journal) is Step.HELD
    assert journal.standing == FollowerState(poison - 3, paused=False, failed_position=poison)
    assert journal.written == list(range(3, poison, 3))
    assert str(journal.failure) == "no good"


@of_either_kind
@pytest.mark.parametrize("poison", [3, 6, 27, 57, 60])
async def test_so_does_an_event_that_nobody_can_read(journal: MemoryJournal, poison: int, make: MakeFollower) -> None:
    journal.unreadable = {poison}
    assert await run(make(journal)[0], journal) is Step.HELD
    assert journal.standing == FollowerState(poison - 3, paused=False, failed_position=poison)
    assert journal.written == list(range(3, poison, 3))
    assert isinstance(journal.failure, UnreadableEvent)


async def test_once_it_can_be_handled_it_goes_on_in_batches_that_grow_again(journal: MemoryJournal) -> None:
    follower = Writing({6})
    following = Following(follower, journal, largest=8)
    while await following.step() is not Step.HELD:
        pass
    follower.poison.clear()
    follower.batches.clear()
    journal.standing = FollowerState(3, paused=False, failed_position=None)
    while await following.step() is Step.ON:
        pass
    assert journal.written == [position for position, _ in journal.log]
    assert follower.batches[0] <= 2
    assert max(follower.batches) == 8


@of_either_kind
async def test_what_is_unavailable_is_no_fault_of_the_events(journal: MemoryJournal, make: MakeFollower) -> None:
    with pytest.raises(Unavailable):
        await run(make(journal, {6}, Unavailable("no broker"))[0], journal)
    assert journal.standing == FollowerState(0, paused=False, failed_position=None)
    assert journal.written == []


@pytest.mark.parametrize(
    "meanwhile",
    [FollowerState(0, paused=True, failed_position=None), FollowerState(57, paused=False, failed_position=None)],
)
@of_either_kind
async def test_who_is_paused_or_moved_by_somebody_else_meanwhile_stays_where_it_was_put(
    journal: MemoryJournal, meanwhile: FollowerState, make: MakeFollower
) -> None:
    journal.meanwhile = meanwhile
    follower, written = make(journal)
    following = Following(follower, journal)
    assert await following.step() is Step.ON
    assert (journal.standing, journal.written, written.batches) == (meanwhile, [], [])


@pytest.mark.parametrize(
    ("paused", "failed_position", "leading", "state"),
    [
        (False, None, True, "running"),
        (False, None, False, "not running"),
        (True, None, True, "paused"),
        (False, 6, True, "failed"),
        (True, 6, False, "failed"),
    ],
)
def test_what_is_wrong_with_a_follower_is_said_before_all_else(
    paused: bool, failed_position: int | None, leading: bool, state: str
) -> None:
    failure = None if failed_position is None else "ValueError"
    assert FollowerStatus("audit-index", 3, paused, failed_position, failure, leading, 0, 0.0).state == state


async def test_who_is_set_back_has_undone_what_comes_again(journal: MemoryJournal) -> None:
    follower = Writing()
    await run(follower, journal)
    await follower.reset(30, journal.written)
    journal.standing = FollowerState(30, paused=False, failed_position=None)
    await run(follower, journal)
    assert journal.written == [position for position, _ in journal.log]


async def test_what_was_lost_where_its_effect_is_comes_again(journal: MemoryJournal) -> None:
    follower = Writing()
    journal.standing = FollowerState(57, paused=False, failed_position=None)
    there = [9, 9, 60]

    async def stands_at(position: int) -> int:
        return min(position, there.pop(0) if there else position)

    following = Following(follower, journal, stands_at=stands_at)
    while await following.step() is Step.ON:
        pass
    assert journal.written == list(range(12, 61, 3))
    assert journal.standing.position == 60


async def test_while_nobody_can_say_where_its_effect_stands_it_does_not_move(journal: MemoryJournal) -> None:
    async def stands_at(position: int) -> int:
        raise Unavailable("no broker")

    with pytest.raises(Unavailable):
        await Following(Writing(), journal, stands_at=stands_at).step()
    assert (journal.standing.position, journal.written) == (0, [])
