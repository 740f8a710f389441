"""The summary of the audit log: what is asked for, what is checked before it is shown, and that every reading is recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typing_extensions import override

from application.audit.filter import AuditFilter
from application.audit.log import IndexProgress
from application.audit.reads import Readings
from application.audit.summary import BEGINNING, AuditSummary, CountedClass, DailyCounts, DailyIndex, DayCount
from application.log import BrokenStream, Recorded
from domain.errors import ForeignEvent, Unavailable, ValidationFailed
from tests.support.audit import AUDITOR, MemoryAuditReads
from tests.support.events import BOB, NOON, erased, toggled

REQUEST = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
DAY = timedelta(days=1)
MIDNIGHT = NOON + DAY / 2
"""The end of the present day, by the clock of these tests."""
DAYS = [DayCount("2026-03-03", "email", "news", "dashboard", 0, 2)]
FIRST, LAST = Recorded(5, toggled(2, "news", False)), Recorded(9, toggled(3, "news", False))
CLASS = CountedClass("email", "news", "dashboard", False, 5, 9)


class MemoryDailyIndex(DailyIndex):
    def __init__(self, classes: list[CountedClass], *witnesses: Recorded) -> None:
        self.found = DailyCounts(DAYS, classes, witnesses)
        self.asked: list[Any] = []

    @override
    async def by_day(
        self, organization: str, wanted: AuditFilter, since: datetime, until: datetime, *, at_least: int
    ) -> DailyCounts:
        self.asked.append((organization, since, until, at_least))
        return self.found

    @override
    async def complete_until(self) -> IndexProgress:
        return IndexProgress(9, NOON)


@pytest.fixture
def reads() -> MemoryAuditReads:
    return MemoryAuditReads()


def summary(index: DailyIndex, reads: MemoryAuditReads) -> AuditSummary:
    ids = (f"reading_{number}" for number in range(100))
    return AuditSummary(index, Readings(reads, ids, lambda: NOON), lambda: NOON)


async def read(index: DailyIndex, reads: MemoryAuditReads, wanted: AuditFilter | None = None) -> Any:
    return await summary(index, reads).by_day(AUDITOR, wanted or AuditFilter(), form="text/csv", request_id=REQUEST)


async def test_what_is_counted_is_shown_and_the_reading_is_recorded(reads) -> None:
    index = MemoryDailyIndex([CLASS], FIRST, LAST)
    shown = await read(index, reads, AuditFilter(toggle="news"))
    assert shown == (DAYS, MIDNIGHT - 365 * DAY, MIDNIGHT, NOON)
    [(reading, outcome)] = reads.readings.values()
    assert (reading.reader, reading.action, reading.request_id) == (AUDITOR, "audit_log.summary", REQUEST)
    assert reading.filter == {
        "toggle": "news",
        "since": "2025-03-04T00:00:00+00:00",
        "until": "2026-03-04T00:00:00+00:00",
        "format": "text/csv",
    }
    assert outcome == (1, "complete")
    assert index.asked == [("org_math", MIDNIGHT - 365 * DAY, MIDNIGHT, 9)]


async def test_what_can_t_be_recorded_isn_t_shown() -> None:
    with pytest.raises(Unavailable):
        await read(MemoryDailyIndex([CLASS], FIRST, LAST), MemoryAuditReads(broken=True))


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, NOON, (NOON - 365 * DAY, NOON)),
        (NOON - 366 * DAY, NOON, (NOON - 366 * DAY, NOON)),
        (NOON, None, (NOON, MIDNIGHT)),
        (NOON + 9 * DAY, None, (NOON + 9 * DAY, NOON + 9 * DAY)),
        (None, BEGINNING + DAY, (BEGINNING, BEGINNING + DAY)),
        (NOON, NOON, (NOON, NOON)),
    ],
)
async def test_what_isn_t_said_of_the_time_is_a_year_up_to_the_end_of_this_day(reads, since, until, expected) -> None:
    index = MemoryDailyIndex([])
    shown = await read(index, reads, AuditFilter(since=since, until=until))
    assert (shown.since, shown.until) == expected
    assert index.asked[0][1:3] == expected


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOON - 366 * DAY - timedelta(microseconds=1), NOON),
        (NOON - 400 * DAY, None),
        (BEGINNING, datetime(9999, 1, 1, tzinfo=UTC)),
    ],
)
async def test_more_than_a_year_is_refused_and_not_read(reads, since, until) -> None:
    index = MemoryDailyIndex([])
    with pytest.raises(ValidationFailed) as refused:
        await read(index, reads, AuditFilter(since=since, until=until))
    assert refused.value.details == {"since": "must be at most 366 days before until"}
    assert (index.asked, reads.readings) == ([], {})


@pytest.mark.parametrize(
    ("witness", "wanted", "error"),
    [
        (toggled(3, "news", False, BOB, organization="org_chess", actor={"user": "user_bob"}), None, ForeignEvent),
        (toggled(3, "news", False, BOB), None, ForeignEvent),
        (toggled(3, "news", False, BOB, organization="org_math"), None, ForeignEvent),
        (toggled(3, "news", True), None, BrokenStream),
        (toggled(3, "digest", False), None, BrokenStream),
        (toggled(3, "news", False, source="api"), None, BrokenStream),
        (toggled(3, "news", False, channel="in_app"), None, BrokenStream),
        (erased(3), None, BrokenStream),
        (toggled(3, "news", False), AuditFilter(until=NOON + timedelta(minutes=3)), BrokenStream),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
async def test_a_class_whose_events_are_not_what_it_says_holds_the_answer_back(
    reads, witness, wanted, error, turned: bool
) -> None:
    # Given a class of which the first or the last event is another organization's, or of another kind
    events = [FIRST, Recorded(9, witness)]
    if turned:
        events = [Recorded(5, witness), LAST]
    if wanted and turned:
        wanted = AuditFilter(since=NOON + timedelta(minutes=3, seconds=1))
    # when it is read, then nothing is shown, and nothing was read.
    with pytest.raises(error):
        await read(MemoryDailyIndex([CLASS], *events), reads, wanted)
    assert reads.readings == {}


@pytest.mark.parametrize(
    "counted",
    [
        CountedClass("email", "news", "dashboard", False, None, None),
        CountedClass("email", "news", "dashboard", False, 5, None),
        CountedClass("email", "news", "dashboard", False, 5, 7),
    ],
)
async def test_a_class_that_has_a_count_and_no_event_holds_the_answer_back(reads, counted) -> None:
    with pytest.raises(BrokenStream, match=r"counts choices of email\.news that it has no entry of"):
        await read(MemoryDailyIndex([counted], FIRST, LAST), reads)
