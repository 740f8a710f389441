"""The state at an instant: given a stream, when it is asked for, then these choices by these events."""

from datetime import timedelta

import pytest
from eventsourcing.domain import OriginatorVersionError

from domain.provenance import ERASED
from projections.as_of import PreferencesAsOf, as_of
from tests.support.catalogues import catalogue
from tests.support.events import ADA, NOON, erased, opened, toggled

CATALOGUE = catalogue(1, news=True, digest=False)
ON, OFF, AGAIN = toggled(2, "news", True), toggled(3, "news", False, previous=True), toggled(4, "digest", True)
STREAM = [opened(), ON, OFF, AGAIN]


def minutes(number: float):
    """Events happen a minute apart, the opening at one minute past noon."""
    return NOON + timedelta(minutes=number)


@pytest.mark.parametrize(
    ("instant", "version", "choices", "decided_by"),
    [
        (minutes(0), 0, {}, {}),
        (minutes(1), 1, {}, {}),
        (minutes(1.99), 1, {}, {}),
        (minutes(2), 2, {"email.news": True}, {"email.news": ON}),
        (minutes(3), 3, {"email.news": False}, {"email.news": OFF}),
        (minutes(4), 4, {"email.news": False, "email.digest": True}, {"email.news": OFF, "email.digest": AGAIN}),
        (minutes(500), 4, {"email.news": False, "email.digest": True}, {"email.news": OFF, "email.digest": AGAIN}),
    ],
)
def test_it_is_what_the_events_until_then_made_of_it(instant, version, choices, decided_by) -> None:
    assert as_of(STREAM, CATALOGUE, instant) == PreferencesAsOf(CATALOGUE, version, choices, decided_by)


def test_who_never_chose_has_no_choices() -> None:
    assert as_of([], CATALOGUE, NOON) == PreferencesAsOf(CATALOGUE, 0, {}, {})


def test_after_an_erasure_the_choices_stay_and_nobody_is_named() -> None:
    anonymous = toggled(2, "news", False, actor=ERASED)
    found = as_of([opened(actor=ERASED), anonymous, erased(3)], CATALOGUE, minutes(3))
    assert (found.version, found.choices) == (3, {"email.news": False})
    assert found.decided_by["email.news"].actor == ERASED


def test_a_gap_is_never_papered_over() -> None:
    with pytest.raises(OriginatorVersionError):
        as_of([opened(), AGAIN], CATALOGUE, minutes(9))


def test_the_stream_of_the_events_does_not_matter_to_them() -> None:
    assert as_of([opened(ADA)], CATALOGUE, minutes(1)).version == 1
