"""The machine's clock counts within a bound of the database's; otherwise that one does."""

from datetime import UTC, datetime

import psycopg
import pytest

from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import BOUND, DatabaseClock, Measurement, steady

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


class Machine:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self._ahead = NOON - steady()

    def __call__(self) -> float:
        return steady() + self._ahead

    def put_ahead(self, seconds: float) -> None:
        self._ahead += seconds


def held_to_noon(machine: Machine) -> DatabaseClock:
    """The database says that it is noon."""
    clock = DatabaseClock(machine)
    now = steady()
    clock.hold_to(Measurement(NOON, now, now))
    return clock


def test_before_the_database_was_asked_the_machines_clock_counts() -> None:
    machine = Machine()
    machine.put_ahead(3 * DAY)
    clock = DatabaseClock(machine)
    assert clock.offset() is None
    assert clock.seconds() == pytest.approx(NOON + 3 * DAY, abs=0.1)


@pytest.mark.parametrize("seconds", [0.5 * BOUND, -0.5 * BOUND])
def test_within_the_bound_it_counts_as_well(seconds: float) -> None:
    machine = Machine()
    machine.put_ahead(seconds)
    clock = held_to_noon(machine)
    assert clock.seconds() == pytest.approx(NOON + seconds, abs=0.1)
    assert clock.offset() == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("seconds", [3 * DAY, -3 * DAY, 2 * BOUND, -2 * BOUND])
def test_beyond_it_the_databases_counts_and_the_difference_is_told_once(seconds: float, capsys) -> None:
    machine = Machine()
    machine.put_ahead(seconds)
    clock = held_to_noon(machine)
    assert clock.seconds() == pytest.approx(NOON, abs=0.1)
    assert clock().timestamp() == pytest.approx(NOON, abs=0.1)
    assert clock.offset() == pytest.approx(seconds, abs=0.1)
    now = steady()
    clock.hold_to(Measurement(NOON, now, now))
    assert capsys.readouterr().out.count("the machine's clock is wrong") == 1
    # Put right, that is told as well.
    machine.put_ahead(-seconds)
    clock.hold_to(Measurement(NOON, now, now))
    assert capsys.readouterr().out.count("the machine's clock is right again") == 1


@pytest.mark.parametrize("seconds", [3 * DAY, -3 * DAY])
def test_a_clock_that_is_set_between_two_measurements_has_no_effect(seconds: float) -> None:
    machine = Machine()
    clock = held_to_noon(machine)
    machine.put_ahead(seconds)
    assert clock.seconds() == pytest.approx(NOON, abs=0.1)


def test_ids_begin_with_the_time() -> None:
    machine = Machine()
    clock = held_to_noon(machine)
    before = clock.ulid()
    machine.put_ahead(3 * DAY)
    assert before[:7] == clock.ulid()[:7]


async def test_the_database_is_asked(database_url: str) -> None:
    clock, wrong = DatabaseClock(), Machine()
    other = DatabaseClock(wrong)
    async with Database(database_url, size=1, connect_within=5) as database:
        await clock.measure(database)
        await other.measure(database)
    with psycopg.connect(database_url) as connection:
        blocking = DatabaseClock(wrong)
        blocking.measure_blocking(connection)
    # Both are on this machine.
    assert abs(clock.offset() or DAY) < BOUND
    for of_the_wrong in (other, blocking):
        assert of_the_wrong.seconds() == pytest.approx(datetime.now(UTC).timestamp(), abs=BOUND)
