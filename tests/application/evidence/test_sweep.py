"""What the sweep makes of what it sees: findings, their names, and the pace."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from application.evidence.differences import Fault, Kind
from application.evidence.stream_check import StreamFacts, judge_stream
from application.evidence.sweep import MAX_FINDINGS, SHARE, Finding, LegStatus, NamedFindings, Subject, of_fault

STREAM = UUID(int=7)
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
GOOD = StreamFacts(STREAM, 1, 5, 5, differs=False, live_version=5, since_version=1, first_sealed=1)


@pytest.mark.parametrize(
    ("fault", "subject", "place"),
    [
        (Fault(Kind.ALTERED, 7, 7, "x"), Subject.EVENT, "position 7"),
        (Fault(Kind.CONTRADICTED, 3, 9, "x"), Subject.EVENT, "positions 3 to 9"),
        (Fault(Kind.TILE, 7, 7, "x"), Subject.TILE, "position 7"),
        (Fault(Kind.TILE, 0, 0, "tile 1 of level 1"), Subject.TILE, "tile 1 of level 1"),
        (Fault(Kind.CHECKPOINT, 0, 0, "checkpoint 3"), Subject.CHECKPOINT, "checkpoint 3"),
    ],
)
def test_a_fault_of_the_log_is_a_finding_with_a_place(fault: Fault, subject: Subject, place: str) -> None:
    assert of_fault(fault) == Finding(subject, place, fault.sentence)


def test_of_many_findings_of_a_kind_the_first_are_named_and_the_rest_are_counted() -> None:
    named = NamedFindings()
    named.add(Finding(Subject.READ_MODEL, f"stream {number}", "x") for number in range(MAX_FINDINGS + 3))
    named.add([Finding(Subject.KEY, "stream 1", "x")])
    *first, more = named.all("streams 1 to 9")
    assert len(first) == MAX_FINDINGS + 1
    assert more == Finding(
        Subject.READ_MODEL, "streams 1 to 9", "3 more findings about the read model in streams 1 to 9"
    )


def test_a_stream_whose_row_and_key_are_right_is_no_finding() -> None:
    assert list(judge_stream(GOOD, opens=True)) == []
    # nor is one that was erased, or is older than sealing
    assert list(judge_stream(GOOD._replace(since_version=None, first_sealed=None), opens=True)) == []


@pytest.mark.parametrize(
    ("facts", "opens", "subject", "phrase"),
    [
        (GOOD._replace(events=4), True, Subject.EVENT, "has a gap: 4 events from version 1 to 5"),
        (GOOD._replace(since=2, events=5), True, Subject.EVENT, "has a gap: 5 events from version 2"),
        (GOOD._replace(differs=True, live_version=None), True, Subject.READ_MODEL, "has no current preferences"),
        (
            StreamFacts(STREAM, None, None, None, True, 3, None, None),
            True,
            Subject.READ_MODEL,
            "has current preferences, and the log has no event of it",
        ),
        (
            GOOD._replace(differs=True),
            True,
            Subject.READ_MODEL,
            "at version 5, are not what the log says up to version 5",
        ),
        (GOOD._replace(since_version=None), True, Subject.KEY, "has no key, and version 1 was sealed and not erased"),
        (
            StreamFacts(STREAM, None, None, None, False, None, 1, None),
            True,
            Subject.KEY,
            "there is a key for stream 00000000-0000-0000-0000-000000000007, and the log has no event of it",
        ),
        (GOOD._replace(first_sealed=None), True, Subject.KEY, "no event that it could be for"),
        (
            GOOD._replace(since_version=3),
            True,
            Subject.KEY,
            "is said to be for version 3 and later ones, and version 1",
        ),
        (GOOD, False, Subject.KEY, "doesn't open what it is for, from version 1 on"),
    ],
)
def test_what_is_wrong_with_a_stream_is_said(facts: StreamFacts, opens: bool, subject: Subject, phrase: str) -> None:
    [finding] = judge_stream(facts, opens)
    assert (finding.subject, finding.place) == (subject, f"stream {STREAM}")
    assert phrase in finding.sentence


def leg(events: int, about: int, *, completed_at: datetime | None = None, under_way: bool = True) -> LegStatus:
    return LegStatus("log", 3, NOON, events, about, completed_at, under_way)


def test_the_steps_of_a_pass_are_spread_over_the_time_that_it_may_take() -> None:
    day = timedelta(days=1)
    assert leg(0, 1000).due(day) == NOON
    assert leg(500, 1000).due(day) == NOON + day * SHARE / 2
    assert leg(500, 1000).progress == 0.5
    # More than was foreseen: the rest of the time is for that.
    assert leg(2000, 1000).due(day) == NOON + day * SHARE
    # A log of which nothing is known yet is gone through without waiting.
    assert leg(10, 0).due(day) == NOON


def test_the_next_pass_begins_when_the_time_of_the_one_before_is_over() -> None:
    day = timedelta(days=1)
    complete = leg(5, 0, completed_at=NOON + timedelta(seconds=1), under_way=False)
    assert complete.complete
    assert complete.progress == 1
    assert complete.due(day) == NOON + day * SHARE
    # One that is under way isn't complete because the one before was.
    assert not leg(5, 10, completed_at=NOON - day).complete
    assert not leg(0, 10, under_way=False).complete
