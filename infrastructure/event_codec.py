"""Events as they are stored: the bytes that the eventsourcing library's own JSON mapper reads and writes.

It is here again because the library's mapper takes ten times as long for an event, and every reader of the log pays that.
That both understand each other is a test.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from application.ports import UnreadableEvent
from domain.events import CataloguePublished, Event, NotificationToggled, PreferencesErased, PreferencesOpened

TYPES: Final[dict[str, type[Event]]] = {
    event.TOPIC: event for event in (PreferencesOpened, NotificationToggled, PreferencesErased, CataloguePublished)
}


_NO_DEFAULT: Final = object()


class StoredEvent(NamedTuple):
    """A row of the log, without its position."""

    originator_id: UUID
    originator_version: int
    topic: str
    state: bytes


def encode(event: Event) -> StoredEvent:
    # What is at its default isn't stored: absent fields take it when they are read, from the class.
    event_type = type(event)
    fields = {name: value for name, value in vars(event).items() if value is not getattr(event_type, name, _NO_DEFAULT)}
    stream = fields.pop("originator_id")
    version = fields.pop("originator_version")
    fields["timestamp"] = {"_type_": "datetime_iso", "_data_": event.timestamp.isoformat()}
    class_version = getattr(event_type, "class_version", 1)
    if class_version > 1:
        fields["class_version"] = class_version
    return StoredEvent(stream, version, event.TOPIC, orjson.dumps(fields))


def decode(stream: UUID, version: int, topic: str, state: bytes) -> Event:
    """The event, brought to its current shape. Raises `UnreadableEvent`."""
    try:
        event_type = TYPES[topic]
        fields: dict[str, Any] = orjson.loads(state)
        fields["timestamp"] = datetime.fromisoformat(fields["timestamp"]["_data_"])
        if "class_version" in fields or hasattr(event_type, "class_version"):
            _upcast(event_type, fields)
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableEvent(f"{topic} of stream {stream}, version {version}: {error!r}") from error
    fields["originator_id"] = stream
    fields["originator_version"] = version
    # As the library does it: events are frozen, so their fields are set past their constructor.
    event = _new(event_type)
    _set(event, "__dict__", fields)
    return event


_new: Final = object.__new__
_set: Final = object.__setattr__


def _upcast(event_type: type[Event], fields: dict[str, Any]) -> None:
    """Bring the fields of an old version up to the current one, step by step, as the library's mapper does."""
    stored_version = fields.pop("class_version", 1)
    for old in range(stored_version, getattr(event_type, "class_version", 1)):
        getattr(event_type, f"upcast_v{old}_v{old + 1}")(fields)
