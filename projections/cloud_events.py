"""The log as others see it: each event as a CloudEvent 1.0, the same one in the feed, in a replay and at the broker.

What leaves the house is decided here, once. Every event does, so that a stream's versions show whoever follows it that
nothing is missing. The user is named, staff only as staff, and sessions not at all.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.events import CataloguePublished, Event, NotificationToggled, PreferencesErased, PreferencesOpened
from domain.isolation import Shown, ShownOpened, ShownToggled
from domain.provenance import ERASED, UNREADABLE
from projections.shown_actor import shown_actor

SOURCE: Final = "/notification-preferences"

PREFIX: Final = "notification-preferences"

TYPES: Final[dict[type[Event], str]] = {
    event_type: f"{event_type.TOPIC}.v1"
    for event_type in (PreferencesOpened, NotificationToggled, PreferencesErased, CataloguePublished)
}
"""`v1` is the shape of `data`, which consumers branch on; the shape in which the event is stored is another matter."""

SCHEMAS: Final = {
    event_type: f"urn:{PREFIX}:schema:{name.removeprefix(f'{PREFIX}.')}" for event_type, name in TYPES.items()
}
"""Names, not addresses: the schemas are in `docs/schemas`."""


_NOBODY: Final = (ERASED, UNREADABLE)


def cloud_event(position: int, event: Shown) -> dict[str, Any]:
    """The event at a position of the log, ready for JSON.

    `subject` is the user, and absent where nobody can say who it was: after an erasure, and where the key doesn't fit. `partitionkey` is the stream, which
    stands for the same user in the same organization before and after erasure.
    """
    time = event.timestamp.isoformat().replace("+00:00", "Z")
    return _document(position, event, time, str(event.originator_id))


def unwritten_cloud_event(position: int, event: Shown) -> dict[str, Any]:
    """The same, whose `time` and `partitionkey` are left to the JSON encoder to write, which is much faster at it."""
    return _document(position, event, event.timestamp, event.originator_id)


def _document(position: int, event: Shown, time: datetime | str, stream: UUID | str) -> dict[str, Any]:
    event_type = type(event)
    # Built in one go: whoever reads the whole log does this for each event of it.
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
