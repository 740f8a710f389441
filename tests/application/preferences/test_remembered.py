"""Rows that were seen lately."""

from application.preferences.remembered import SERVES, RememberedRows
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
