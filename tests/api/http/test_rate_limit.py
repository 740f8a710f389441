"""The rate limit, over more time than a test over HTTP can wait."""

from uuid import UUID

import pytest

from api.http import rate_limit
from api.http.rate_limit import RateLimit
from domain.errors import RateLimited

ADA, BOB = UUID(int=1), UUID(int=2)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spend(limit: RateLimit, stream: UUID = ADA) -> int | None:
    """None if there was room, otherwise the seconds to wait."""
    try:
        limit.spend(stream)
    except RateLimited as error:
        return error.retry_after
    return None


def test_as_many_as_allowed_and_then_no_more(clock) -> None:
    limit = RateLimit(3, clock)
    assert [spend(limit) for _ in range(5)] == [None, None, None, 20, 20]
    assert spend(limit, BOB) is None


def test_room_comes_back_evenly(clock) -> None:
    limit = RateLimit(3, clock)
    for _ in range(3):
        spend(limit)
    clock.now += 19
    assert spend(limit) == 1
    clock.now += 1
    assert [spend(limit), spend(limit)] == [None, 20]
    clock.now += 3600
    assert [spend(limit) for _ in range(4)] == [None, None, None, 20]


def test_who_waits_as_long_as_told_is_served(clock) -> None:
    limit = RateLimit(7, clock)
    for _ in range(7):
        spend(limit)
    for _ in range(50):
        wait = spend(limit)
        assert wait is not None
        assert wait >= 1
        clock.now += wait
        assert spend(limit) is None
        while spend(limit) is None:
            pass


def test_a_refusal_costs_nothing(clock) -> None:
    limit = RateLimit(1, clock)
    assert spend(limit) is None
    assert [spend(limit) for _ in range(100)] == [60] * 100
    assert limit.refused == 100
    clock.now += 60
    assert spend(limit) is None


def test_without_a_limit_there_is_none(clock) -> None:
    limit = RateLimit(0, clock)
    assert [spend(limit) for _ in range(1000)] == [None] * 1000
    assert limit.refused == 0


def test_only_so_many_are_remembered_and_those_used_last(clock, monkeypatch) -> None:
    monkeypatch.setattr(rate_limit, "TRACKED", 2)
    limit = RateLimit(1, clock)
    for stream in (ADA, BOB, UUID(int=3)):
        assert spend(limit, stream) is None
    assert spend(limit, BOB) == 60
    assert spend(limit, ADA) is None  # forgotten, in her favour
