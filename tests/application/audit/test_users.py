"""Any point in time: which catalogue, which choices, and never more than the caller may see."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.audit.reads import Reading, Readings
from application.audit.users import READ, READ_HISTORY, HistoryAsOf, Users
from application.identity import OrganizationReader
from application.preferences.history import History, PageStart
from domain.catalogue import Resolved
from domain.errors import Unavailable, ValidationFailed
from domain.events import CataloguePublished, NotificationToggled, PreferencesEvent
from domain.preferences import NotificationPreferences
from domain.provenance import Provenance, Source
from domain.published_catalogues import PublishedCatalogues, catalogue_of
from projections.as_of import PreferencesAsOf
from tests.support.audit import AUDITOR, MemoryAuditReads
from tests.support.catalogues import catalogue, published
from tests.support.events import ADA, NOON, opened, toggled

HOUR = timedelta(hours=1)
REQUEST = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
FIRST = catalogue(1, news=True, digest=False, fax=True)
SECOND = catalogue(2, news=False, digest=False, offers=True)


class Streams:
    def __init__(self, events: Sequence[PreferencesEvent], *catalogues: CataloguePublished) -> None:
        self.events = events
        self.catalogues = catalogues
        self.asked: list[UUID] = []

    async def evidence(self, stream: UUID, until: datetime) -> HistoryAsOf:
        self.asked.append(stream)
        known = [event for event in self.events if event.originator_id == stream and event.timestamp <= until]
        last = {event.path: event for event in known if isinstance(event, NotificationToggled)}
        return HistoryAsOf(len(known), list(last.values()), PublishedCatalogues(self.catalogues))


class Changes:
    """The newest changes of a stream, as the store gives them; nothing else of it is asked for."""

    def __init__(self, *events: NotificationToggled) -> None:
        self.events = events

    async def changes(self, stream: UUID, *, up_to: int | None, limit: int) -> list[NotificationToggled]:
        found = [event for event in self.events if event.originator_id == stream]
        return [event for event in reversed(found) if up_to is None or event.originator_version <= up_to][:limit]


def users(
    streams: Any, now: datetime = NOON + 10 * HOUR, reads: MemoryAuditReads | None = None, store: Any = None
) -> Users:
    ids = (f"01JTBQH2FZ8K1RXC0WJ5Z{number:05}" for number in itertools.count())
    return Users(streams, History(store), Readings(reads or MemoryAuditReads(), ids, lambda: now), lambda: now)


async def ask(
    asked: Users, instant: datetime | None, reader: OrganizationReader = AUDITOR
) -> tuple[datetime, PreferencesAsOf]:
    return await asked.preferences(reader, "user_ada", instant, explain=False, request_id=REQUEST)


async def resolved(streams: Streams, instant: datetime | None, organization: str = "org_math") -> Resolved:
    _, found = await ask(users(streams), instant, OrganizationReader(organization, "user:user_grace"))
    return found.resolved


BOTH = (published(FIRST, NOON), published(SECOND, NOON + HOUR))
CHOSE_FAX = [opened(), toggled(2, "fax", False)]


async def test_a_default_of_the_day_is_told_for_the_day() -> None:
    streams = Streams([], *BOTH)
    assert await resolved(streams, NOON) == {"email": {"news": True, "digest": False, "fax": True}}
    assert await resolved(streams, NOON + HOUR) == {"email": {"news": False, "digest": False, "offers": True}}


async def test_a_choice_outlives_a_changed_default() -> None:
    streams = Streams([opened(), toggled(2, "news", True)], *BOTH)
    assert (await resolved(streams, NOON + HOUR))["email"]["news"] is True


async def test_a_toggle_that_was_removed_is_told_for_the_time_before() -> None:
    streams = Streams(CHOSE_FAX, *BOTH)
    assert (await resolved(streams, NOON + HOUR / 2))["email"]["fax"] is False
    assert "fax" not in (await resolved(streams, NOON + HOUR))["email"]


async def test_before_the_first_publishing_the_first_catalogue_held() -> None:
    assert await resolved(Streams(CHOSE_FAX, *BOTH), NOON - 1000 * HOUR) == FIRST.resolve({})


async def test_without_an_instant_it_is_now_and_everything_recorded_has_happened() -> None:
    ahead = [opened(), toggled(2, "offers", False, timestamp=NOON + 11 * HOUR)]
    streams = Streams(ahead, *BOTH, published(catalogue(3, offers=True), NOON + 12 * HOUR))
    instant, found = await ask(users(streams), None)
    assert instant == NOON + 10 * HOUR
    assert found.catalogue.version == 3
    assert found.resolved == {"email": {"offers": False}}


async def test_this_very_moment_can_be_asked_for_and_the_future_can_not() -> None:
    streams = Streams([], *BOTH)
    await resolved(streams, NOON + 10 * HOUR)
    with pytest.raises(ValidationFailed) as refused:
        await resolved(streams, NOON + 10 * HOUR + timedelta(microseconds=1))
    assert refused.value.details == {"as_of": "must not be in the future"}
    assert streams.asked == [ADA]


async def test_another_organization_sees_somebody_who_never_chose() -> None:
    streams = Streams(CHOSE_FAX, *BOTH)
    assert await resolved(streams, NOON + HOUR / 2, "org_chess") == FIRST.resolve({})


async def test_without_a_published_catalogue_nothing_can_be_said() -> None:
    with pytest.raises(Unavailable):
        await resolved(Streams([]), NOON)


async def test_a_reading_is_recorded_with_what_was_asked_for_and_no_name() -> None:
    reads = MemoryAuditReads()
    asked = users(Streams(CHOSE_FAX, *BOTH), reads=reads)
    await asked.preferences(AUDITOR, "user_ada", NOON, explain=True, request_id=REQUEST)
    [(reading, outcome)] = reads.readings.values()
    assert outcome == (1, "complete")
    assert (reading.reader, reading.action, reading.request_id) == (AUDITOR, READ, REQUEST)
    assert reading.at == NOON + 10 * HOUR
    assert reading.filter == {"resource_stream": str(ADA), "as_of": "2026-03-03T12:00:00+00:00", "explain": True}


async def test_what_can_not_be_recorded_is_not_shown() -> None:
    asked = users(Streams(CHOSE_FAX, *BOTH), reads=MemoryAuditReads(broken=True), store=Changes())
    with pytest.raises(Unavailable):
        await ask(asked, NOON)
    with pytest.raises(Unavailable):
        await asked.history(AUDITOR, "user_ada", limit=1, request_id=REQUEST)


async def test_a_history_is_told_page_by_page_and_each_page_recorded() -> None:
    reads = MemoryAuditReads()
    store = Changes(toggled(2, "news", True), toggled(3, "news", False, previous=True), toggled(4, "fax", True))
    asked = users(None, reads=reads, store=store)
    first = await asked.history(AUDITOR, "user_ada", limit=2, request_id=REQUEST)
    second = await asked.history(AUDITOR, "user_ada", limit=2, request_id=REQUEST, after=first.next)
    assert [entry.version for entry in (*first.entries, *second.entries)] == [4, 3, 2]
    assert second.next is None
    assert [(reading.action, outcome[0]) for reading, outcome in reads.readings.values()] == [
        (READ_HISTORY, 2),
        (READ_HISTORY, 1),
    ]
    assert [reading.filter for reading, _ in reads.readings.values()] == [
        {"resource_stream": str(ADA), "limit": 2},
        {"resource_stream": str(ADA), "limit": 2, "after": 3},
    ]


async def test_a_history_is_of_the_readers_organization_and_a_foreign_start_is_refused() -> None:
    reads = MemoryAuditReads()
    asked = users(None, reads=reads, store=Changes(toggled(2, "news", True)))
    elsewhere = OrganizationReader("org_chess", "user:user_grace")
    assert (await asked.history(elsewhere, "user_ada", limit=2, request_id=REQUEST)).entries == []
    with pytest.raises(ValidationFailed):
        await asked.history(elsewhere, "user_ada", limit=2, request_id=REQUEST, after=PageStart(2, "of another"))
    assert len(reads.readings) == 1


def reading_of(reads: MemoryAuditReads) -> Reading:
    return next(iter(reads.readings.values()))[0]


TOGGLES = ["news", "digest", "fax", "offers"]
requests = st.lists(
    st.tuples(st.timedeltas(timedelta(0), HOUR), st.dictionaries(st.sampled_from(TOGGLES), st.booleans())), max_size=12
)
later_catalogues = st.lists(
    st.tuples(st.timedeltas(timedelta(0), HOUR), st.dictionaries(st.sampled_from(TOGGLES), st.booleans())), max_size=4
)


@given(requests, later_catalogues, st.timedeltas(timedelta(0), 3 * HOUR))
async def test_it_is_at_every_instant_what_the_user_was_answered_then(requests, later, offset: timedelta) -> None:
    """Against a model: everything that happens, in its order, with the answer of each moment kept."""
    catalogues = [published(FIRST, NOON)]
    for number, (delay, defaults) in enumerate(later, 2):
        catalogues.append(published(catalogue(number, **defaults), catalogues[-1].timestamp + delay))
    aggregate: NotificationPreferences | None = None
    ids = (f"01JTBQH2FZ8K1RXC0WJ4Z{number:05}" for number in range(1000))
    events: list[PreferencesEvent] = []
    states: list[tuple[datetime, dict[str, bool]]] = [(datetime.min.replace(tzinfo=UTC), {})]
    times = accumulate((delay for delay, _ in requests), initial=NOON)
    for at, (_, asked) in zip(list(times)[1:], requests, strict=True):
        wanted = {f"email.{name}": enabled for name, enabled in asked.items()}
        provenance = Provenance({"user": "user_ada"}, "org_math", Source.DASHBOARD, "r", at, 1)
        aggregate = aggregate or NotificationPreferences.open(ADA, provenance, ids)
        aggregate.choose(wanted, provenance, ids)
        events += aggregate.collect_events()
        states.append((at, dict(aggregate.choices)))
    streams = Streams(events, *catalogues)
    end = max(states[-1][0], catalogues[-1].timestamp)

    for instant in (NOON + offset, *(at for at, _ in states[1:]), *(event.timestamp for event in catalogues), None):
        known = [choices for at, choices in states if instant is None or at <= instant][-1]
        shown = [event for event in catalogues if instant is None or event.timestamp <= instant][-1]
        _, found = await ask(users(streams, end + 10 * HOUR), instant)
        assert found.resolved == catalogue_of(shown).resolve(known)
        assert set(found.deciding) == set(known)
        assert all(event.enabled is known[path] for path, event in found.deciding.items())
