"""The eventsourcing library's own applications and projections read our table, with nothing done to it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

from application.preferences.store import Append
from domain.events import NotificationToggled
from domain.preferences import NotificationPreferences
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.events import ADA, BOB, opened, row_after, toggled
from tests.support.eventsourcing_program import Preferences, environment_of
from tests.support.patient_database import patient_database


class OptOuts(POPOTrackingRecorder):
    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []


class CountOptOuts(Projection[OptOuts]):
    name = "opt_outs"
    topics = (NotificationToggled.TOPIC,)

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if not domain_event.enabled:
            self.view.paths.append(domain_event.path)
        self.view.insert_tracking(tracking)


EVENTS = [opened(), toggled(2, "news", False), toggled(3, "digest", True), toggled(4, "news", True, previous=False)]
BOBS = [opened(BOB), toggled(2, "digest", False, BOB)]


@pytest.fixture
async def environment(database_url: str) -> dict[str, str]:
    async with patient_database(database_url) as database:
        await PostgresPreferencesStore(database).append([whole(EVENTS), whole(BOBS)])
    return environment_of(database_url)


@pytest.fixture
def library(environment: dict[str, str]) -> Iterator[Preferences]:
    application = Preferences(environment)
    yield application
    application.close()


def whole(events: list[Any]) -> Append:
    return Append(0, events, row_after(None, *events), opens_key=True)


def unsigned(event: Any) -> dict[str, Any]:
    """What the library sees of an event: who acted is sealed, beside it."""
    return {name: value for name, value in vars(event).items() if name != "actor"}


async def test_the_repository_rebuilds_the_aggregate(library: Preferences) -> None:
    preferences = library.repository.get(ADA)
    assert isinstance(preferences, NotificationPreferences)
    assert (preferences.version, preferences.choices) == (4, {"email.news": True, "email.digest": True})


async def test_the_notification_log_is_our_log(library: Preferences) -> None:
    notifications = library.notification_log.select(start=1, limit=10)
    read = [library.mapper.to_domain_event(notification) for notification in notifications]
    assert [type(event) for event in read] == [type(event) for event in EVENTS + BOBS]
    for seen, event in zip(read, EVENTS + BOBS, strict=True):
        assert "actor" not in vars(seen)
        assert {name: getattr(seen, name) for name in unsigned(event)} == unsigned(event)
    assert [notification.id for notification in notifications] == [1, 2, 3, 4, 5, 6]


async def test_a_projection_of_the_library_follows_it(environment: dict[str, str]) -> None:
    settings = {**environment, "OPT_OUTS_PERSISTENCE_MODULE": "eventsourcing.popo"}
    with ProjectionRunner(
        application_class=Preferences, projection_class=CountOptOuts, view_class=OptOuts, env=settings
    ) as runner:
        runner.wait(notification_id=6, timeout=10)
        assert runner.projection.view.paths == ["email.news", "email.digest"]
        assert isinstance(runner.projection.view, TrackingRecorder)


async def test_a_projection_of_the_library_follows_it_live(environment: dict[str, str], database_url: str) -> None:
    """It waits for a notification on a channel of its own, and looks at nothing until one comes."""
    settings = {**environment, "OPT_OUTS_PERSISTENCE_MODULE": "eventsourcing.popo"}
    with ProjectionRunner(
        application_class=Preferences, projection_class=CountOptOuts, view_class=OptOuts, env=settings
    ) as runner:
        await asyncio.to_thread(runner.wait, notification_id=6, timeout=10)
        for version in (5, 6):
            event = toggled(version, "news", version == 6, previous=version == 5)
            async with patient_database(database_url) as database:
                row = row_after(None, *EVENTS)._replace(version=version)
                late = Append(version - 1, [event], row, opens_key=False)
                assert await PostgresPreferencesStore(database).append([late]) == {ADA}
            await asyncio.to_thread(runner.wait, notification_id=version + 2, timeout=10)
        assert runner.projection.view.paths == ["email.news", "email.digest", "email.news"]


async def test_what_the_library_writes_is_in_our_log_and_moves_the_stream_on(
    library: Preferences, database_url: str
) -> None:
    """Its writers lock the table, ours take a lock of their own; neither overtakes the other."""
    preferences = library.repository.get(ADA)
    preferences.trigger_event(
        NotificationToggled, **{**vars(toggled(5, "digest", False)), "timestamp": EVENTS[-1].timestamp}
    )
    library.save(preferences)
    with psycopg.connect(database_url) as connection:
        last = connection.execute(
            "SELECT originator_version FROM preferences_events ORDER BY notification_id DESC"
        ).fetchone()
    assert last == (5,)
    async with patient_database(database_url) as database:
        late = Append(
            4, [toggled(5, "digest", True)], whole([*EVENTS, toggled(5, "digest", True)]).row, opens_key=False
        )
        assert await PostgresPreferencesStore(database).append([late]) == set()
