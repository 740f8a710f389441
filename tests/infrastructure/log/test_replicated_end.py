"""How far standbys have the log: what follows from looks at a server, in whatever order they come."""

import pytest
from structlog.testing import capture_logs

from domain.errors import Unavailable
from infrastructure.log import replicated_end
from infrastructure.log.replicated_end import REMEMBERED, Look, ReplicatedEnd


def looked(*looks: tuple[int, int, int | None], server: str = "here") -> ReplicatedEnd:
    end = ReplicatedEnd()
    for look in looks:
        end.take(Look(server, *look))
    return end


@pytest.mark.parametrize(
    ("looks", "position"),
    [
        ([(0, 100, None)], 0),
        ([(5, 100, 100)], 5),
        ([(5, 100, 99)], 0),
        ([(5, 100, None)], 0),
        ([(5, 100, 99), (5, 120, 100)], 5),
        ([(5, 100, 90), (8, 120, 110)], 5),
        ([(5, 100, 90), (8, 120, 110), (8, 130, 120)], 8),
        ([(5, 100, 100), (8, 120, None)], 5),
        ([(5, 100, 100), (8, 120, 99)], 5),
    ],
)
def test_the_log_is_replicated_up_to_an_end_once_the_standbys_have_what_was_written_when_it_was_seen(
    looks, position
) -> None:
    assert looked(*looks).position == position


def test_what_one_server_knows_does_not_hold_on_another_one() -> None:
    end = looked((5, 100, 100), (8, 120, 100))
    end.take(Look("elsewhere", 9, 50, 20))
    assert (end.position, end.known) == (0, False)
    end.take(Look("elsewhere", 9, 60, 50))
    assert (end.position, end.known) == (9, True)


def test_an_empty_log_is_known() -> None:
    assert looked((0, 100, None)).known


def test_a_log_that_grows_for_long_without_a_standby_is_confirmed_as_far_as_its_newest_end() -> None:
    looks = [(number, number * 10, None) for number in range(1, 3 * REMEMBERED)]
    end = looked(*looks)
    assert end.position == 0
    last = 3 * REMEMBERED - 1
    end.take(Look("here", last, last * 10, last * 10))
    assert end.position == last


def test_it_is_said_once_that_nothing_is_confirmed_and_once_that_it_is_again(monkeypatch) -> None:
    monkeypatch.setattr(replicated_end, "STUCK_AFTER", -1.0)
    with capture_logs() as said:
        end = looked((5, 100, None), (5, 100, None), (6, 110, 90))
        end.take(Look("here", 6, 110, 110))
    assert [line["event"] for line in said] == [
        "the end of the log is not confirmed by standbys: readers wait",
        "the standbys confirm the log again",
    ]
    assert said[0]["reason"] == "too few synchronous standbys are connected"


def test_a_standby_that_is_asked_says_that_it_does_not_know() -> None:
    with pytest.raises(Unavailable, match="it is a standby"):
        Look.of(("here", 5, None, None))
