"""Rows that were seen lately."""

from application.preferences.remembered import FIRST_PAUSE, LONGEST_PAUSE, PROVEN, SERVES, RememberedRows
from tests.support.events import ADA, BOB, opened, row_after

ADAS, BOBS = row_after(None, opened()), row_after(None, opened(BOB))


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
