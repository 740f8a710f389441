"""The log as others see it: each event as a CloudEvent 1.0, the same one in the feed, in a replay and at the broker.

What leaves the house is decided here, once. Every event does, so that a stream's versions show whoever follows it that
nothing is missing. The user is named, staff only as staff, and sessions not at all.
"""

from typing import Any, Final

from domain.events import CataloguePublished, Event, NotificationToggled, PreferencesErased, PreferencesOpened
from domain.provenance import ERASED
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


def cloud_event(position: int, event: Event) -> dict[str, Any]:
    """The event at a position of the log, ready for JSON.

    `subject` is the user, and absent where nobody can say any more who it was. `partitionkey` is the stream, which
    stands for the same user in the same organization before and after erasure.
    """
    event_type = type(event)
    envelope = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": SOURCE,
        "type": TYPES[event_type],
        "time": event.timestamp.isoformat().replace("+00:00", "Z"),
        "sequence": f"{position:020}",
        "partitionkey": str(event.originator_id),
        "datacontenttype": "application/json",
        "dataschema": SCHEMAS[event_type],
    }
    if isinstance(event, NotificationToggled | PreferencesOpened) and event.actor != ERASED:
        envelope["subject"] = event.actor["user"]
    return {**envelope, "data": _data(event)}


def _data(event: Event) -> dict[str, Any]:
    common = {
        "source": event.source,
        "request_id": event.request_id,
        "catalogue_version": event.catalogue_version,
        "version": event.originator_version,
    }
    if isinstance(event, CataloguePublished):
        return {"channels": event.channels, **common}
    if isinstance(event, PreferencesErased):
        return {"organization": event.organization, **common}
    by_whom = {"organization": event.organization, "actor": _actor(event)}
    if isinstance(event, PreferencesOpened):
        return {**by_whom, **common}
    return {
        "channel": event.channel,
        "toggle": event.toggle,
        "enabled": event.enabled,
        "previous": event.previous,
        **by_whom,
        **common,
    }


def _actor(event: PreferencesOpened | NotificationToggled) -> dict[str, str]:
    actor = shown_actor(event)
    return {"kind": actor.kind, "label": actor.label}
