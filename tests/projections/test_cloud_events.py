import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from domain.events import Event
from domain.provenance import ERASED, UNREADABLE
from projections.cloud_events import SCHEMAS, TYPES, cloud_event
from tests.support.events import ADA, TRACEPARENT, catalogue_published, continued, erased, opened, toggled

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"

EVERY_KIND = [opened(), toggled(2, "news", True), erased(3), catalogue_published(), continued(406)]


def test_a_choice_is_told_with_the_user_the_position_and_what_it_replaced() -> None:
    at = datetime(2026, 3, 3, 12, 2, 30, 250000, UTC)
    event = toggled(2, "news", False, previous=True, timestamp=at)
    assert cloud_event(417, event) == {
        "specversion": "1.0",
        "id": event.event_id,
        "source": "/notification-preferences",
        "type": "notification-preferences.toggled.v1",
        "subject": "user_ada",
        "time": "2026-03-03T12:02:30.250000Z",
        "sequence": "00000000000000000417",
        "partitionkey": str(ADA),
        "datacontenttype": "application/json",
        "dataschema": "urn:notification-preferences:schema:toggled.v1",
        "data": {
            "channel": "email",
            "toggle": "news",
            "enabled": False,
            "previous": True,
            "organization": "org_math",
            "actor": {"kind": "customer", "label": "user_ada"},
            "source": "dashboard",
            "request_id": event.request_id,
            "catalogue_version": 1,
            "version": 2,
        },
    }


def test_the_first_choice_replaced_none() -> None:
    assert cloud_event(1, toggled(2, "news", False))["data"]["previous"] is None


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: event.TOPIC)
def test_every_kind_of_event_is_told_as_its_schema_says(event: Event) -> None:
    told = cloud_event(1, event)
    name = told["type"].removeprefix("notification-preferences.")
    assert not violations(name, told["data"])
    assert set(told["data"]) == set(schema(name)["properties"])
    assert told["dataschema"] == schema(name)["$id"]


def test_the_schemas_would_see_what_is_wrong() -> None:
    data = cloud_event(1, toggled(2, "news", True))["data"]
    assert violations("toggled.v1", {**data, "enabled": "yes"})
    assert violations("toggled.v1", {**data, "source": "hearsay"})
    del data["actor"]
    assert violations("toggled.v1", data)


def test_no_kind_of_event_is_left_out() -> None:
    assert set(TYPES) == {type(event) for event in EVERY_KIND}
    schemas = {f"urn:notification-preferences:schema:{path.stem}" for path in FOLDER.iterdir()}
    assert schemas == set(SCHEMAS.values())


def test_positions_sort_as_text() -> None:
    positions = [9, 10, 99, 100, 2**63 - 1]
    sequences = [cloud_event(position, opened())["sequence"] for position in positions]
    assert sequences == sorted(sequences)


@pytest.mark.parametrize(
    "staff",
    [{"impersonated": True}, {"actor": {"user": "user_ada", "impersonator": "user_grace"}}],
    ids=["flag", "actor"],
)
def test_staff_are_told_as_staff_and_nothing_says_which(staff: dict[str, Any]) -> None:
    told = cloud_event(1, toggled(2, "news", True, **staff))
    assert told["data"]["actor"] == {"kind": "platform", "label": "support"}
    assert told["subject"] == "user_ada"
    assert "user_grace" not in json.dumps(told)


def test_sessions_stay_in_the_house() -> None:
    assert not any("sess_1" in json.dumps(cloud_event(1, event)) for event in EVERY_KIND)


def test_of_an_erased_user_only_the_stream_is_told() -> None:
    told = [cloud_event(1, opened(actor=ERASED)), cloud_event(2, toggled(2, "news", True, actor=ERASED))]
    told.append(cloud_event(3, erased(3)))
    assert [event.get("subject") for event in told] == [None, None, None]
    assert {event["partitionkey"] for event in told} == {str(ADA)}
    assert told[1]["data"]["actor"] == {"kind": "customer", "label": "erased"}


def test_of_a_user_whose_key_does_not_fit_only_the_stream_is_told() -> None:
    told = [cloud_event(1, opened(actor=UNREADABLE)), cloud_event(2, toggled(2, "news", True, actor=UNREADABLE))]
    assert [event.get("subject") for event in told] == [None, None]
    assert {event["partitionkey"] for event in told} == {str(ADA)}
    assert told[1]["data"]["actor"] == {"kind": "customer", "label": "unreadable"}


@pytest.mark.parametrize("event", [opened(), toggled(2, "news", True)], ids=["opened", "toggled"])
def test_the_traceparent_of_the_request_is_an_attribute_and_nothing_else_changes(event: Event) -> None:
    traced = type(event)(**vars(event) | {"traceparent": TRACEPARENT})
    told, untraced = cloud_event(1, traced), cloud_event(1, event)
    assert told == {**untraced, "traceparent": TRACEPARENT}
    assert "traceparent" not in untraced


@pytest.mark.parametrize("actor", [ERASED, UNREADABLE], ids=["erased", "unreadable"])
def test_a_trace_which_may_say_who_it_was_is_shown_no_longer_than_the_user(actor) -> None:
    for event in (
        opened(actor=actor, traceparent=TRACEPARENT),
        toggled(2, "news", 1, actor=actor, traceparent=TRACEPARENT),
    ):
        assert TRACEPARENT[3:35] not in json.dumps(cloud_event(1, event))


def test_that_staff_acted_outlives_the_erasure() -> None:
    told = cloud_event(2, toggled(2, "news", True, actor=ERASED, impersonated=True))
    assert told["data"]["actor"] == {"kind": "platform", "label": "support"}


def schema(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def violations(name: str, data: Any) -> list[Any]:
    return list(jsonschema_rs.validator_for(schema(name)).iter_errors(json.loads(json.dumps(data))))
