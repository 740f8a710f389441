"""One follower, step by step: what moves it, what holds it, and what stops it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from application.followers import Follower, FollowerState, FollowerStatus, Following, Journal, Step
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


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


async def run(follower: Writing, journal: MemoryJournal, largest: int = 8) -> Step:
    following = Following(follower, journal, largest=largest)
    while (step := await following.step()) is Step.ON:
        pass
    return step


async def test_all_events_are_handled_in_batches_and_then_it_has_caught_up(journal: MemoryJournal) -> None:
    follower = Writing()
    assert await run(follower, journal) is Step.CAUGHT_UP
    assert journal.written == [position for position, _ in journal.log]
    assert journal.standing.position == 60
    assert follower.batches == [8, 8, 4]


async def test_an_empty_log_is_caught_up_with() -> None:
    follower = Writing()
    assert await run(follower, MemoryJournal(0)) is Step.CAUGHT_UP
    assert follower.batches == []


@pytest.mark.parametrize(
    "state", [FollowerState(3, paused=True, failed_position=None), FollowerState(3, paused=False, failed_position=6)]
)
async def test_who_is_paused_or_stopped_is_handed_nothing(journal: MemoryJournal, state: FollowerState) -> None:
    journal.standing = state
    assert await run(Writing(), journal) is Step.HELD
    assert (journal.standing, journal.written) == (state, [])


@pytest.mark.parametrize("poison", [3, 6, 27, 57, 60])
async def test_an_event_that_it_can_not_handle_stops_it_and_all_before_it_are_handled(
    journal: MemoryJournal, poison: int
) -> None:
    assert await run(Writing({poison}), journal) is Step.HELD
    assert journal.standing == FollowerState(poison - 3, paused=False, failed_position=poison)
    assert journal.written == list(range(3, poison, 3))
    assert str(journal.failure) == "no good"


@pytest.mark.parametrize("poison", [3, 6, 27, 57, 60])
async def test_so_does_an_event_that_nobody_can_read(journal: MemoryJournal, poison: int) -> None:
    journal.unreadable = {poison}
    assert await run(Writing(), journal) is Step.HELD
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


async def test_what_is_unavailable_is_no_fault_of_the_events(journal: MemoryJournal) -> None:
    with pytest.raises(Unavailable):
        await run(Writing({6}, Unavailable("no broker")), journal)
    assert journal.standing == FollowerState(0, paused=False, failed_position=None)
    assert journal.written == []


@pytest.mark.parametrize(
    "meanwhile",
    [FollowerState(0, paused=True, failed_position=None), FollowerState(57, paused=False, failed_position=None)],
)
async def test_who_is_paused_or_moved_by_somebody_else_meanwhile_stays_where_it_was_put(
    journal: MemoryJournal, meanwhile: FollowerState
) -> None:
    journal.meanwhile = meanwhile
    follower = Writing()
    following = Following(follower, journal)
    assert await following.step() is Step.ON
    assert (journal.standing, journal.written, follower.batches) == (meanwhile, [], [])


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
