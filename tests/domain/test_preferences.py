import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.events import NotificationToggled, PreferencesOpened
from domain.preferences import NotificationPreferences, stream_id
from domain.provenance import Provenance, Source

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
STREAM = stream_id("org_math", "user_ada")
ADA = Provenance(
    actor={"user": "user_ada", "session": "sess_1", "impersonator": "user_support"},
    organization="org_math",
    source=Source.DASHBOARD,
    request_id="01JTBQH2FZ8K1RXC0WJ4Z9P3VM",
    occurred_at=NOON,
    catalogue_version=1,
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)


def given(**choices: bool) -> NotificationPreferences:
    return NotificationPreferences.restore(
        STREAM, 1 + len(choices), {f"email.{k}": v for k, v in choices.items()}, NOON
    )


def when(
    preferences: NotificationPreferences, requested: dict[str, bool], provenance: Provenance = ADA
) -> list[NotificationToggled]:
    preferences.choose(requested, provenance, (f"id-{n}" for n in itertools.count(1)))
    return list(preferences.collect_events())


def test_the_first_event_opens_the_stream_with_full_provenance() -> None:
    opened = NotificationPreferences.open(STREAM, ADA, iter(["id-0"])).collect_events()
    assert opened == [
        PreferencesOpened(
            originator_id=STREAM,
            originator_version=1,
            timestamp=NOON,
            originator_topic="notification-preferences",
            event_id="id-0",
            actor=ADA.actor,
            organization="org_math",
            request_id=ADA.request_id,
            source="dashboard",
            catalogue_version=1,
            impersonated=True,
            traceparent=ADA.traceparent,
        )
    ]


def test_a_choice_is_recorded_with_full_provenance_and_what_it_replaces() -> None:
    assert when(given(product_updates=True), {"email.product_updates": False}) == [
        NotificationToggled(
            originator_id=STREAM,
            originator_version=3,
            timestamp=NOON,
            event_id="id-1",
            channel="email",
            toggle="product_updates",
            enabled=False,
            first_choice=False,
            actor=ADA.actor,
            organization="org_math",
            request_id=ADA.request_id,
            source="dashboard",
            catalogue_version=1,
            impersonated=True,
            traceparent=ADA.traceparent,
        )
    ]


def test_choosing_what_is_the_default_anyway_is_a_choice() -> None:
    (event,) = when(given(), {"email.product_updates": True})
    assert (event.enabled, event.previous) == (True, None)


def test_repeating_a_recorded_choice_records_nothing() -> None:
    assert when(given(product_updates=False), {"email.product_updates": False}) == []


def test_several_toggles_are_one_event_each_in_order_and_with_one_request_id() -> None:
    events = when(given(), {"email.product_updates": False, "email.delivery_alerts": False})
    assert [(event.toggle, event.originator_version) for event in events] == [
        ("product_updates", 2),
        ("delivery_alerts", 3),
    ]
    assert {event.request_id for event in events} == {ADA.request_id}
    assert [event.event_id for event in events] == ["id-1", "id-2"]


def test_time_never_runs_backwards_within_a_stream() -> None:
    behind = ADA._replace(occurred_at=NOON - timedelta(hours=1))
    (event,) = when(given(), {"email.product_updates": False}, behind)
    assert event.timestamp == NOON


@pytest.mark.parametrize(
    ("organization", "user"),
    [("org_math", "user_bob"), ("org_physics", "user_ada"), (None, "user_ada"), ("", "user_ada")],
)
def test_a_stream_belongs_to_one_user_in_one_organization(organization: str | None, user: str) -> None:
    assert stream_id(organization, user) != STREAM


def test_stream_ids_are_derived_and_never_change() -> None:
    assert stream_id("org_math", "user_ada") == UUID("763fb516-f4e3-5f75-81be-04186530df2f")
