"""Reading the audit log: page by page and as a whole, and that every reading is recorded."""

from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from application.audit.filter import AuditFilter
from application.audit.log import AuditLog, AuditStart, IndexProgress
from application.audit.reads import Readings
from application.log import Recorded
from domain.errors import Unavailable, ValidationFailed
from projections.audit_log import Action, audit_entry
from projections.shown_actor import ActorKind
from tests.support.audit import AUDITOR, MemoryAuditLog, MemoryAuditReads
from tests.support.events import ADA, BOB, NOON, catalogue_published, erased, opened, toggled

EVERYTHING = AuditFilter()
SEVEN = [Recorded(10 * version, toggled(version, "news", version % 2 == 0)) for version in range(2, 9)]
REQUEST = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"


@pytest.fixture
def reads() -> MemoryAuditReads:
    return MemoryAuditReads()


@pytest.fixture
def audit_log(reads: MemoryAuditReads):
    """Makes one over some recorded events; three entries are a chunk of its exports."""

    def make(*log: Recorded, **options: Any) -> AuditLog:
        ids = (f"reading_{number}" for number in range(100))
        return AuditLog(MemoryAuditLog(*log, **options), Readings(reads, ids, lambda: NOON), chunk=3)

    return make


def entries(*log: Recorded) -> list[Any]:
    return [audit_entry(recorded.event) for recorded in reversed(log)]


async def test_the_newest_comes_first_and_what_is_no_entry_is_left_out(audit_log) -> None:
    log = [Recorded(1, catalogue_published()), Recorded(2, opened()), *SEVEN, Recorded(200, erased(9))]
    page = await audit_log(*log).page(AUDITOR, EVERYTHING, limit=50, request_id=REQUEST)
    assert page.entries == entries(*log[2:])
    assert (page.next, page.complete_until) == (None, NOON)


@pytest.mark.parametrize("limit", range(1, 9))
async def test_the_pages_hold_every_entry_once(audit_log, limit: int) -> None:
    log, seen, after = audit_log(*SEVEN), [], None
    while True:
        page = await log.page(AUDITOR, EVERYTHING, limit=limit, request_id=REQUEST, after=after)
        assert 1 <= len(page.entries) <= limit
        seen += page.entries
        after = page.next
        if after is None:
            break
    assert seen == entries(*SEVEN)


@pytest.mark.parametrize(
    "start",
    [
        AuditStart(20, "another id"),
        AuditStart(21, SEVEN[0].event.event_id),
        AuditStart(1, "id of bob"),
        AuditStart(2, "id of the catalogue"),
    ],
)
async def test_a_start_is_good_for_its_own_organization_only(audit_log, start: AuditStart) -> None:
    bob = Recorded(1, toggled(2, "news", True, BOB, event_id="id of bob"))
    catalogue = Recorded(2, catalogue_published(event_id="id of the catalogue"))
    with pytest.raises(ValidationFailed) as refused:
        await audit_log(bob, catalogue, *SEVEN).page(AUDITOR, EVERYTHING, limit=1, request_id=REQUEST, after=start)
    assert refused.value.details == {"cursor": "must be one that this endpoint returned"}


async def test_a_page_is_recorded_with_who_what_and_how_many(audit_log, reads) -> None:
    wanted = AuditFilter(
        action=Action.TOGGLE,
        stream=ADA,
        actor_kind=ActorKind.CUSTOMER,
        channel="email",
        toggle="news",
        enabled=False,
        source="dashboard",
        since=NOON,
        until=NOON + timedelta(hours=1),
    )
    page = await audit_log(*SEVEN).page(AUDITOR, wanted, limit=2, request_id=REQUEST)
    [(reading, outcome)] = reads.readings.values()
    assert (len(page.entries), outcome) == (2, (2, "complete"))
    assert (reading.reader, reading.action, reading.at, reading.request_id) == (
        AUDITOR,
        "audit_log.read",
        NOON,
        REQUEST,
    )
    assert reading.filter == {
        "action": "notification_preferences.toggle",
        "resource_stream": str(ADA),
        "actor_kind": "customer",
        "channel": "email",
        "toggle": "news",
        "enabled": False,
        "source": "dashboard",
        "since": "2026-03-03T12:00:00+00:00",
        "until": "2026-03-03T13:00:00+00:00",
        "limit": 2,
    }


async def test_it_is_recorded_which_page_it_was_and_whether_it_had_what_was_before_and_after(audit_log, reads) -> None:
    log = audit_log(*SEVEN)
    first = await log.page(AUDITOR, EVERYTHING, limit=2, request_id=REQUEST, payload=True)
    await log.page(AUDITOR, EVERYTHING, limit=2, request_id=REQUEST, after=first.next)
    await log.export(AUDITOR, EVERYTHING, form="ndjson", request_id=REQUEST, payload=True)
    assert [reading.filter for reading, _ in reads.readings.values()] == [
        {"limit": 2, "payload": True},
        {"limit": 2, "after": SEVEN[-2].position},
        {"format": "ndjson", "payload": True},
    ]


async def test_what_cant_be_recorded_is_not_shown(audit_log, reads) -> None:
    reads.broken = True
    with pytest.raises(Unavailable):
        await audit_log(*SEVEN).page(AUDITOR, EVERYTHING, limit=2, request_id=REQUEST)
    with pytest.raises(Unavailable):
        await audit_log(*SEVEN).export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)


@pytest.mark.parametrize("count", range(8))
async def test_an_export_holds_every_entry_once_and_is_recorded_from_its_beginning(audit_log, reads, count) -> None:
    export, _ = await audit_log(*SEVEN[:count]).export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    [(reading, outcome)] = reads.readings.values()
    assert (reading.action, reading.filter, outcome) == ("audit_log.export", {"format": "csv"}, None)
    chunks = [chunk async for chunk in export]
    assert [entry for chunk in chunks for entry in chunk] == entries(*SEVEN[:count])
    assert all(1 <= len(chunk) <= 3 for chunk in chunks)
    assert reads.readings[reading.id] == (reading, (count, "complete"))


async def test_an_export_that_is_left_early_is_recorded_as_aborted(audit_log, reads) -> None:
    log = audit_log(*SEVEN)
    export, _ = await log.export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    await anext(export)
    await anext(export)
    await export.aclose()
    await log.close()
    assert [outcome for _, outcome in reads.readings.values()] == [(6, "aborted")]


async def test_an_export_that_never_begins_is_recorded_as_aborted(audit_log, reads) -> None:
    log = audit_log(*SEVEN, breaks_after=0)
    with pytest.raises(Unavailable):
        await log.export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    await log.close()
    assert [outcome for _, outcome in reads.readings.values()] == [(0, "aborted")]


async def test_an_export_that_breaks_says_so_and_is_recorded_as_aborted(audit_log, reads) -> None:
    log = audit_log(*SEVEN, breaks_after=2)
    export, _ = await log.export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    with pytest.raises(Unavailable):
        _ = [chunk async for chunk in export]
    await log.close()
    assert [outcome for _, outcome in reads.readings.values()] == [(6, "aborted")]


async def test_an_export_says_until_when_it_is_complete(audit_log) -> None:
    _, complete_until = await audit_log(*SEVEN).export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    assert complete_until == NOON


async def test_what_an_export_would_promise_is_no_reading(audit_log, reads) -> None:
    assert await audit_log(*SEVEN).complete_until() == NOON
    assert reads.readings == {}


async def test_an_index_that_is_set_back_meanwhile_breaks_what_is_read_from_it(reads) -> None:
    index = MemoryAuditLog(*SEVEN)
    log = AuditLog(index, Readings(reads, iter(("reading_1", "reading_2")), lambda: NOON), chunk=3)
    export, _ = await log.export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    await anext(export)
    # Given that it is made anew, and has come to the oldest entries when it is read from again
    index.log, index.reached = SEVEN[:1], SEVEN[0].position
    # then the export doesn't end, as if those were all.
    with pytest.raises(Unavailable):
        await anext(export)
    await log.close()
    assert [outcome for _, outcome in reads.readings.values()] == [(3, "aborted")]


async def test_a_page_holds_what_it_promises_or_isnt_answered(reads) -> None:
    class SetBack(MemoryAuditLog):
        @override
        async def complete_until(self) -> IndexProgress:
            reach = await super().complete_until()
            self.reached -= 1
            return reach

    log = AuditLog(SetBack(*SEVEN), Readings(reads, iter(("reading_1",)), lambda: NOON))
    with pytest.raises(Unavailable):
        await log.page(AUDITOR, EVERYTHING, limit=2, request_id=REQUEST)
    assert not reads.readings


async def test_an_export_whose_end_cant_be_recorded_doesnt_end_well(audit_log, reads) -> None:
    log = audit_log(*SEVEN)
    export, _ = await log.export(AUDITOR, EVERYTHING, form="csv", request_id=REQUEST)
    reads.broken = True
    with pytest.raises(Unavailable):
        _ = [chunk async for chunk in export]
    await log.close()
    assert [outcome for _, outcome in reads.readings.values()] == [None]
