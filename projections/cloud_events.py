"""The log as other systems see it: each event as a CloudEvent 1.0, the same in the feed, in a replay and at the broker.

This module alone decides which data leaves the service. Every event does, so that consumers see from the versions of a stream that none
is missing. An event names its user. It shows staff only as staff, and never shows sessions.
"""

from datetime import datetime
from typing import Any, Final, get_args
from uuid import UUID

from domain.events import (
    Event,
    LogContinued,
    NotificationToggled,
    PreferencesErased,
    PreferencesOpened,
)
from domain.isolation import Shown, ShownOpened, ShownToggled
from domain.provenance import ERASED, UNREADABLE
from projections.shown_actor import shown_actor

SOURCE: Final = "/notification-preferences"

PREFIX: Final = "notification-preferences"

TYPES: Final[dict[type[Event], str]] = {event_type: f"{event_type.TOPIC}.v1" for event_type in get_args(Event)}
"""`v1` is the version of the shape of `data`, on which consumers branch. The shape in which the event is stored is independent."""

SCHEMAS: Final = {
    event_type: f"urn:{PREFIX}:schema:{name.removeprefix(f'{PREFIX}.')}" for event_type, name in TYPES.items()
}
"""These are names and not addresses. The schemas are in `docs/schemas`."""


_NOBODY: Final = (ERASED, UNREADABLE)


def cloud_event(position: int, event: Shown) -> dict[str, Any]:
    """The event at a position of the log, ready for JSON.

    `subject` is the user. It is absent if the actor can't be read: after an erasure, or if the key doesn't fit. `partitionkey` is the
    stream, which is the same for this user in this organization before and after erasure. `traceparent` is what the client sent with the
    request (CloudEvents' extension Distributed Tracing). Where there is no `subject` there is none, because a trace may say who it was.
    """
    time = event.timestamp.isoformat().replace("+00:00", "Z")
    return _document(position, event, time, str(event.originator_id))


def cloud_event_for_orjson(position: int, event: Shown) -> dict[str, Any]:
    """The same, but the JSON encoder writes `time` and `partitionkey`, because it is much faster at it."""
    return _document(position, event, event.timestamp, event.originator_id)


def _document(position: int, event: Shown, time: datetime | str, stream: UUID | str) -> dict[str, Any]:
    event_type = type(event)
    # Built in one expression, because a reader of the whole log does this for each event.
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": SOURCE,
        "type": TYPES[event_type],
        "time": time,
        "sequence": f"{position:020}",
        "partitionkey": stream,
        "datacontenttype": "application/json",
        "dataschema": SCHEMAS[event_type],
    }
    if isinstance(event, NotificationToggled | PreferencesOpened) and event.actor not in _NOBODY:
        document["subject"] = event.actor["user"]
        if event.traceparent is not None:
            document["traceparent"] = event.traceparent
    document["data"] = _data(event)
    return document


def _data(event: Shown) -> dict[str, Any]:
    match event:
        case NotificationToggled():
            return {
                "channel": event.channel,
                "toggle": event.toggle,
                "enabled": event.enabled,
                "previous": event.previous,
                "organization": event.organization,
                "actor": _actor(event),
                "source": event.source,
                "request_id": event.request_id,
                "catalogue_version": event.catalogue_version,
                "version": event.originator_version,
            }
        case PreferencesOpened():
            return {"organization": event.organization, "actor": _actor(event), **_circumstances(event)}
        case PreferencesErased():
            return {"organization": event.organization, **_circumstances(event)}
        case LogContinued():
            return {"previous_end": event.previous_end, **_circumstances(event)}
    return {"channels": event.channels, **_circumstances(event)}


def _circumstances(event: Shown) -> dict[str, Any]:
    return {
        "source": event.source,
        "request_id": event.request_id,
        "catalogue_version": event.catalogue_version,
        "version": event.originator_version,
    }


def _actor(event: ShownOpened | ShownToggled) -> dict[str, str]:
    actor = shown_actor(event)
    return {"kind": actor.kind, "label": actor.label}
