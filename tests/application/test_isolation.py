"""Each use case that answers one organization holds back what isn't that organization's, wherever it was found."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from application.audit.explanations import ExplainAt, Explanations
from application.audit.filter import AuditFilter
from application.audit.log import AuditLog
from application.audit.reads import Readings
from application.audit.users import HistoryAsOf, Users
from application.feed.feed import Selection, Slice, as_json, readable
from application.log import BrokenStream, Recorded
from application.preferences.history import History
from domain.errors import ForeignEvent
from domain.events import NotificationToggled
from domain.preferences import stream_id
from domain.published_catalogues import PublishedCatalogues
from projections import explained_decision
from projections.explained_decision import At
from tests.support.audit import AUDITOR, MemoryAuditLog, MemoryAuditReads, fits
from tests.support.catalogues import catalogue, published
from tests.support.events import ADA, NOON, catalogue_published, toggled
from tests.support.filled_log import TOGGLES, Chance
from tests.support.index_rows import index_row

REQUEST = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
CHESS = stream_id("org_chess", "user_eve")
OURS = toggled(2, "news", True)
THEIRS = toggled(3, "news", False, CHESS, organization="org_chess", actor={"user": "user_eve"})
THEIRS_IN_OUR_STREAM = toggled(3, "news", False, ADA, organization="org_chess", actor={"user": "user_ada"})
CATALOGUE = published(catalogue(1, news=True))


class Misled(MemoryAuditLog):
    """An index that leads to whatever the log has, in the order of positions, newest first."""

    async def newest(self, *_: Any, before: Any, limit: int, **__: Any) -> list[Recorded]:
        return [one for one in self.log[::-1] if before is None or one.position < before.position][:limit]


class Misplaced:
    """A store whose rows are somebody else's, whatever is asked for."""

    async def changes(self, stream: UUID, **_: Any) -> list[NotificationToggled]:
        return [THEIRS_IN_OUR_STREAM]


class MisplacedStream:
    async def evidence(self, stream: UUID, *_: Any) -> Any:
        if _:
            return HistoryAsOf(3, [OURS, THEIRS_IN_OUR_STREAM], PublishedCatalogues([CATALOGUE]))
        events = [At(1, OURS), At(2, THEIRS_IN_OUR_STREAM)]
        return explained_decision.DecisionBasis(5, events, [At(1, CATALOGUE)])


def audit_log(reads: MemoryAuditReads, *log: Recorded) -> AuditLog:
    return AuditLog(Misled(*log), readings(reads), chunk=2)


def readings(reads: MemoryAuditReads) -> Readings:
    return Readings(reads, (f"reading_{number}" for number in count()), lambda: NOON)


async def test_a_page_of_the_audit_log_with_a_foreign_event_is_neither_shown_nor_recorded_as_read() -> None:
    reads = MemoryAuditReads()
    log = audit_log(reads, Recorded(1, OURS), Recorded(2, THEIRS))
    with pytest.raises(ForeignEvent, match="the audit log's index has an event of another organization: position 2 "):
        await log.page(AUDITOR, AuditFilter(), limit=50, request_id=REQUEST)
    assert reads.readings == {}


async def test_an_export_is_broken_off_before_the_chunk_with_a_foreign_event() -> None:
    # Given a foreign event behind the first chunk
    reads = MemoryAuditReads()
    log = audit_log(
        reads, Recorded(1, THEIRS), *(Recorded(version, toggled(version, "news", True)) for version in (2, 3))
    )
    # when all is exported, then the first chunk is given, the second one isn't, and the record says that it was broken off.
    export = await log.export(AUDITOR, AuditFilter(), form="csv", request_id=REQUEST)
    given = await anext(export.entries)
    with pytest.raises(ForeignEvent):
        await anext(export.entries)
    await log.close()
    assert [entry.user for entry in given] == ["user_ada", "user_ada"]
    assert [outcome for _, outcome in reads.readings.values()] == [(2, "aborted")]


async def test_an_export_that_begins_with_a_foreign_event_is_refused() -> None:
    log = audit_log(MemoryAuditReads(), Recorded(1, OURS), Recorded(2, THEIRS))
    with pytest.raises(ForeignEvent):
        await log.export(AUDITOR, AuditFilter(), form="csv", request_id=REQUEST)
    await log.close()


@pytest.mark.parametrize(
    ("wanted", "events"),
    [
        (AuditFilter(toggle="digest"), [OURS]),
        (AuditFilter(), [toggled(3, "news", True), toggled(2, "news", True)]),
        (AuditFilter(), [OURS, OURS]),
    ],
    ids=["not asked for", "out of order", "twice"],
)
async def test_an_index_that_is_wrong_about_the_organizations_own_events_is_not_believed(
    wanted: AuditFilter, events: Sequence[Any]
) -> None:
    log = audit_log(MemoryAuditReads(), *(Recorded(7, event) for event in events))
    with pytest.raises(BrokenStream, match=r"the audit log's index has the event at position 7 in the wrong place"):
        await log.page(AUDITOR, wanted, limit=50, request_id=REQUEST)


def any_filter(chance: Chance) -> AuditFilter:
    def maybe(values: Any) -> Any:
        return chance.random.choice([*values, None, None])

    return AuditFilter(
        action=maybe(["notification_preferences.toggle", "notification_preferences.erase"]),
        stream=maybe([stream_id("org_math", user) for user in ("user_ada", "user_bob")]),
        actor_kind=maybe(["customer", "platform"]),
        channel=maybe(["email", "pigeon"]),
        toggle=maybe(TOGGLES[:2]),
        enabled=maybe([True, False]),
        source=maybe(["dashboard", "api", "admin"]),
        since=maybe([NOON + timedelta(seconds=30)]),
        until=maybe([NOON + timedelta(seconds=40)]),
    )


def test_what_fits_a_filter_is_said_of_the_event_as_it_is_of_its_place_in_the_index() -> None:
    chance = Chance(20261127)
    log = [Recorded(position, event) for position, event in enumerate(chance.events(300), 1)]
    ours = [recorded for recorded in log if (row := index_row(recorded.event)) and row.of.organization == "org_math"]
    agreed = set()
    for _ in range(200):
        wanted = any_filter(chance)
        for recorded in ours:
            agreed.add(wanted.fits(recorded.event))
            assert wanted.fits(recorded.event) is fits(recorded, "org_math", wanted), (wanted, recorded)
    assert agreed == {True, False}
    assert not AuditFilter().fits(catalogue_published())


def test_a_piece_of_the_feed_with_a_foreign_event_is_not_shown() -> None:
    piece = Slice([Recorded(1, OURS), Recorded(2, catalogue_published()), Recorded(3, THEIRS)], 3, more=False)
    for organization in ("org_math", "org_chess"):
        with pytest.raises(
            ForeignEvent, match="the audit log's index, for the feed, has an event of another organization"
        ):
            readable(piece, Selection(organization).audience, as_json)
    assert len(readable(piece, Selection().audience, as_json).made) == 3


async def test_a_history_with_a_foreign_event_is_not_shown() -> None:
    with pytest.raises(ForeignEvent, match="the user's history has an event of another organization"):
        await History(Misplaced()).page("org_math", "user_ada", limit=50)


async def test_preferences_that_rest_on_a_foreign_event_are_neither_shown_nor_recorded_as_read() -> None:
    reads = MemoryAuditReads()
    users = Users(MisplacedStream(), History(Misplaced()), readings(reads), lambda: NOON)
    with pytest.raises(ForeignEvent, match="the user's stream has an event of another organization"):
        await users.preferences(AUDITOR, "user_ada", None, explain=True, request_id=REQUEST)
    with pytest.raises(ForeignEvent):
        await users.history(AUDITOR, "user_ada", limit=50, request_id=REQUEST)
    assert reads.readings == {}


async def test_a_decision_is_not_explained_by_a_foreign_event() -> None:
    with pytest.raises(ForeignEvent, match="the decision's evidence has an event of another organization: position 2 "):
        await Explanations(MisplacedStream()).explain("org_math", "user_ada", "email", "news", ExplainAt())
