"""Rows that were seen lately."""

import weakref

from application.preferences.remembered import FIRST_PAUSE, LONGEST_PAUSE, PROVEN, SERVES, RememberedRows
from domain.preferences import stream_id
from tests.support.events import ADA, BOB, opened, row_after

EVE = stream_id(None, "user_eve")
ADAS, BOBS, EVES = (row_after(None, opened(stream)) for stream in (ADA, BOB, EVE))


class Choices(dict[str, bool]):
    """Choices that a weak reference can watch."""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_row_is_handed_out_once() -> None:
    rows = RememberedRows()
    rows.put([ADAS, BOBS])
    assert rows.take([ADA]) == {ADA: ADAS}
    assert rows.take([ADA, BOB]) == {BOB: BOBS}


def test_a_row_is_forgotten_after_a_while() -> None:
    clock = Clock()
    rows = RememberedRows(clock=clock)
    # Given a row of long ago, and one of just now
    rows.put([ADAS])
    clock.now += SERVES + 0.01
    rows.put([BOBS])
    # then only the latter is believed, and the other one never again.
    assert rows.take([ADA, BOB]) == {BOB: BOBS}
    assert rows.take([ADA]) == {}


def test_of_too_many_the_first_one_goes_first() -> None:
    rows = RememberedRows(most=1)
    rows.put([ADAS, BOBS])
    assert rows.take([ADA, BOB]) == {BOB: BOBS}


def test_a_row_that_is_read_again_counts_as_new() -> None:
    rows = RememberedRows(most=2)
    # Given two rows, the first of which is read once more
    rows.put([ADAS, BOBS])
    rows.put([ADAS])
    # then the other one makes room for a third.
    rows.put([EVES])
    assert rows.take([ADA, BOB, EVE]) == {ADA: ADAS, EVE: EVES}


def test_a_row_that_has_had_its_time_does_not_stay_in_memory() -> None:
    """It holds a person's key."""
    clock = Clock()
    rows = RememberedRows(clock=clock)
    rows.put([ADAS._replace(choices=(choices := Choices(ADAS.choices)))])
    held = weakref.ref(choices)
    del choices
    assert held() is not None
    clock.now += SERVES + 0.01
    rows.put([BOBS])
    assert held() is None


def pause_after(rows: RememberedRows, clock: Clock) -> float:
    """How long it remembers nothing after a wrong guess."""
    rows.put([ADAS, BOBS])
    rows.judge(proven=1, refuted=1)
    began = clock.now
    assert rows.take([ADA, BOB]) == {}
    while True:
        rows.put([ADAS])
        if rows.take([ADA]):
            return clock.now - began
        clock.now += FIRST_PAUSE / 2


def test_after_a_wrong_guess_nothing_is_remembered_for_a_pause_that_doubles_up_to_a_limit() -> None:
    clock = Clock()
    rows = RememberedRows(clock=clock)
    pauses = [pause_after(rows, clock) for _ in range(8)]
    assert pauses == [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(8)]
    assert pauses[-1] == LONGEST_PAUSE


def test_many_right_guesses_make_the_next_pause_short_again() -> None:
    clock = Clock()
    rows = RememberedRows(clock=clock)
    assert [pause_after(rows, clock) for _ in range(3)][-1] > FIRST_PAUSE
    for _ in range(PROVEN):
        rows.judge(proven=1, refuted=0)
    assert pause_after(rows, clock) == FIRST_PAUSE
