"""Events as they are stored: the bytes that the eventsourcing library's own JSON mapper reads and writes.

It is here again because the library's mapper takes ten times as long for an event, and every reader of the log pays that.
That both understand each other is a test. What is personal stands beside the state, sealed; the library reads an event without it.
"""

from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from application.ports import UnreadableEvent
from domain.events import (
    CataloguePublished,
    Event,
    LogContinued,
    NotificationToggled,
    PreferencesErased,
    PreferencesOpened,
)
from domain.provenance import ERASED, UNREADABLE
from infrastructure.log import unreadable_actors
from infrastructure.log.sealing import Unsealable, seal, unseal

TYPES: Final[dict[str, type[Event]]] = {
    event.TOPIC: event
    for event in (PreferencesOpened, NotificationToggled, PreferencesErased, CataloguePublished, LogContinued)
}

_NO_DEFAULT: Final = object()


class StoredEvent(NamedTuple):
    """A row of the log, without its position. `sealed_actor` is empty where nobody acted, and in events of old."""

    originator_id: UUID
    originator_version: int
    topic: str
    state: bytes
    sealed_actor: bytes = b""


def encode(event: Event, key: bytes | None = None) -> StoredEvent:
    """The event as it is stored, its actor sealed under `key`. Without a key the actor stays in the open: for old events."""
    # What is at its default isn't stored: absent fields take it when they are read, from the class.
    event_type = type(event)
    fields = {name: value for name, value in vars(event).items() if value is not getattr(event_type, name, _NO_DEFAULT)}
    stream = fields.pop("originator_id")
    version = fields.pop("originator_version")
    fields["timestamp"] = {"_type_": "datetime_iso", "_data_": event.timestamp.isoformat()}
    class_version = getattr(event_type, "class_version", 1)
    if class_version > 1:
        fields["class_version"] = class_version
    sealed = b""
    if key is not None and "actor" in fields:
        sealed = seal(fields.pop("actor"), key, event.event_id)
    return StoredEvent(stream, version, event.TOPIC, orjson.dumps(fields), sealed)


def decode(
    stream: UUID,
    version: int,
    topic: str,
    state: bytes,
    sealed_actor: bytes = b"",
    key: bytes | None = None,
    *,
    strictly: bool = False,
) -> Event:
    """The event, brought to its current shape. Raises `UnreadableEvent`.

    Where the key is gone, so is who acted: a sealed actor without its key reads as `ERASED`. With a key that doesn't open it,
    the actor reads as `UNREADABLE`, which is counted and logged: one bad key must not keep an event from its readers. For
    evidence, `strictly`, it is an event that can't be read.
    """
    try:
        event_type = TYPES[topic]
        fields: dict[str, Any] = orjson.loads(state)
        fields["timestamp"] = datetime.fromisoformat(fields["timestamp"]["_data_"])
        if "class_version" in fields or hasattr(event_type, "class_version"):
            _upcast(event_type, fields)
        if sealed_actor:
            try:
                fields["actor"] = ERASED if key is None else unseal(sealed_actor, key, fields["event_id"])
            except Unsealable:
                if strictly:
                    raise
                unreadable_actors.note(stream, version)
                fields["actor"] = UNREADABLE
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableEvent(f"{topic} of stream {stream}, version {version}: {type(error).__name__}") from error
    fields["originator_id"] = stream
    fields["originator_version"] = version
    # As the library does it: events are frozen, so their fields are set past their constructor.
    event = _new(event_type)
    _set(event, "__dict__", fields)
    return event


decode_strictly: Final = partial(decode, strictly=True)
"""The same for evidence, which shows who acted."""


def recorded_at(state: bytes) -> datetime | None:
    """When an event was recorded, which is told without knowing the event; None where not even that can be read."""
    try:
        return datetime.fromisoformat(orjson.loads(state)["timestamp"]["_data_"])
    except (KeyError, ValueError, TypeError):
        return None


_new: Final = object.__new__
_set: Final = object.__setattr__


def _upcast(event_type: type[Event], fields: dict[str, Any]) -> None:
    """Bring the fields of an old version up to the current one, step by step, as the library's mapper does."""
    stored_version = fields.pop("class_version", 1)
    for old in range(stored_version, getattr(event_type, "class_version", 1)):
        getattr(event_type, f"upcast_v{old}_v{old + 1}")(fields)
