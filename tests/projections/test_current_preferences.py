from functools import reduce

import pytest

from projections.current_preferences import CurrentPreferences, project
from tests.support.events import ADA, BOB, opened, toggled


def test_the_first_event_makes_a_row_without_choices() -> None:
    event = opened(BOB)
    assert project(None, event) == CurrentPreferences(BOB, None, "user_bob", 1, {}, event.timestamp)


def test_choices_add_up_and_the_later_one_wins() -> None:
    events = [opened(), toggled(2, "news", True), toggled(3, "digest", True), toggled(4, "news", False)]
    assert reduce(project, events, None) == CurrentPreferences(
        ADA, "org_math", "user_ada", 4, {"email.news": False, "email.digest": True}, events[-1].timestamp
    )


def test_a_row_is_never_changed_in_place() -> None:
    first = project(project(None, opened()), toggled(2, "news", True))
    project(first, toggled(3, "news", False))
    assert first.choices == {"email.news": True}


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_gap_or_a_repeat_is_an_error_and_never_papered_over(version: int) -> None:
    row = project(project(None, opened()), toggled(2, "news", True))
    with pytest.raises(ValueError, match="where 3 was due"):
        project(row, toggled(version, "news", False))


def test_a_stream_can_not_begin_in_the_middle() -> None:
    with pytest.raises(ValueError, match="where 1 was due"):
        project(None, toggled(2, "news", True))
