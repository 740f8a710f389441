"""Replaying: a destination is brought to the end of the log from wherever it stands."""

from collections.abc import Sequence

import pytest

from application.feed.feed import CHUNK, EVERYTHING, Selection
from application.feed.replay import Destination, Replayed, ReplayRefused, replay
from application.log import Recorded, UnreadableEvent
from domain.events import PreferencesErased
from tests.support.events import continued, erased, toggled
from tests.support.memory_feed import BrokenFeed, MemoryFeed


class Shelf(Destination):
    def __init__(self, position: int = 0) -> None:
        self._position = position
        self.taken: list[Recorded] = []
        self.finished = False

    @property
    def position(self) -> int:
        return self._position

    async def write(self, events: Sequence[Recorded], position: int) -> None:
        self.taken += events
        self._position = position

    async def finish(self) -> None:
        self.finished = True


async def test_a_destination_is_brought_to_the_end_from_where_it_stands() -> None:
    feed = MemoryFeed(*(toggled(2, "delivery_alerts", True) for _ in range(CHUNK + 20)))
    end = feed.positions[-1]
    told: list[tuple[int, int]] = []
    shelf = Shelf(position=30)
    done = await replay(feed, EVERYTHING, shelf, lambda position, of: told.append((position, of)))
    assert shelf.taken == feed.log[10:]
    assert shelf.finished
    assert done == Replayed(CHUNK + 10, end)
    assert told == [(feed.positions[CHUNK + 9], end), (end, end)]
    assert await replay(feed, EVERYTHING, shelf, lambda *_: None) == Replayed(0, end)


async def test_what_is_not_selected_moves_the_destination_on_all_the_same() -> None:
    feed = MemoryFeed(erased(2), toggled(3, "delivery_alerts", True))
    shelf = Shelf()
    assert await replay(feed, Selection(kind=PreferencesErased), shelf, lambda *_: None) == Replayed(1, 6)
    assert [recorded.position for recorded in shelf.taken] == [3]


async def test_a_destination_ahead_of_the_log_is_refused() -> None:
    shelf = Shelf(position=100)
    with pytest.raises(ReplayRefused, match="stands at position 100, and the log ends at position 3"):
        await replay(MemoryFeed(erased(2)), EVERYTHING, shelf, lambda *_: None)


async def test_progress_leaves_out_the_positions_that_no_event_was_given_at_a_continuation() -> None:
    # Given a log of three events, which was then continued far behind its end
    feed = MemoryFeed(erased(2), erased(3), erased(4))
    feed.log += [Recorded(10**15, continued(9)), Recorded(10**15 + 1, erased(5))]
    told: list[tuple[int, int]] = []
    # when it is replayed, then the bar counts on from its end.
    await replay(feed, EVERYTHING, Shelf(), lambda *progress: told.append(progress))
    assert told == [(11, 11)]


@pytest.mark.parametrize("readable", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
async def test_what_precedes_an_event_that_can_not_be_read_is_finished_and_that_one_is_named(readable: int) -> None:
    feed = BrokenFeed(*(toggled(2, "delivery_alerts", True) for _ in range(CHUNK + 20)), readable_to=3 * readable)
    shelf = Shelf()
    with pytest.raises(UnreadableEvent, match=f"the event at position {3 * readable + 3} can't be read"):
        await replay(feed, EVERYTHING, shelf, lambda *_: None)
    assert shelf.taken == feed.log[:readable]
    assert shelf.finished
