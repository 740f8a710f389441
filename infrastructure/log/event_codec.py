"""Encodes and decodes stored events: the same bytes that the eventsourcing library's own JSON mapper reads and writes.

The code is repeated here because the library's mapper takes ten times as long for an event, and every reader of the log pays that. A test
shows that each reads the other's events. The personal part is sealed and stored beside the state; the library reads the event without it.
"""

import dataclasses
from dataclasses import MISSING
from datetime import datetime
from functools import cache, partial
from typing import Any, Final, NamedTuple, get_args
from uuid import UUID

import orjson

from application.log import UnreadableEvent
from domain.events import (
    Event,
)
from domain.provenance import ERASED, UNREADABLE
from infrastructure.log import unreadable_actors
from infrastructure.log.sealing import Unsealable, seal, unseal

TYPES: Final[dict[str, type[Event]]] = {event.TOPIC: event for event in get_args(Event)}


class StoredEvent(NamedTuple):
    """A row of the log, without its position. `sealed_actor` is empty in events without an actor, and in events older than sealing."""

    originator_id: UUID
    originator_version: int
    topic: str
    state: bytes
    sealed_actor: bytes = b""


def encode(event: Event, key: bytes | None = None) -> StoredEvent:
    """The event as it is stored, with its actor sealed under `key`. Without a key the actor is stored unsealed, as in old events."""
    # A field at its default is not stored. A reader takes the default from the class.
    event_type = type(event)
    fields = vars(event).copy()
    for name, default in _defaults(event_type):
        if fields.get(name, default) is default:
            fields.pop(name, None)
    del fields["originator_id"], fields["originator_version"]
    # orjson writes a time as `isoformat` does, in a third of the time.
    fields["timestamp"] = {"_type_": "datetime_iso", "_data_": event.timestamp}
    class_version = getattr(event_type, "class_version", 1)
    if class_version > 1:
        fields["class_version"] = class_version
    sealed = b""
    if key is not None and "actor" in fields:
        sealed = seal(fields.pop("actor"), key, event.event_id)
    return StoredEvent(event.originator_id, event.originator_version, event.TOPIC, orjson.dumps(fields), sealed)


@cache
def _defaults(event_type: type[Event]) -> tuple[tuple[str, object], ...]:
    """The fields that may be absent, and their defaults."""
    return tuple(
        (field.name, field.default) for field in dataclasses.fields(event_type) if field.default is not MISSING
    )


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

    Without its key, a sealed actor reads as `ERASED`. With a key that does not open it, it reads as `UNREADABLE`, which is counted and
    logged: one bad key must not keep the event from its readers. Evidence reads `strictly`: then a key that does not open the actor makes
    the event unreadable.
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
    # As in the library: events are frozen, so this sets their fields without calling the constructor.
    event = _new(event_type)
    _set(event, "__dict__", fields)
    return event


decode_strictly: Final = partial(decode, strictly=True)
"""The same for evidence, which shows the actor."""


def recorded_at(state: bytes) -> datetime | None:
    """When an event was recorded. This works without decoding the event. None if the state has no readable time."""
    try:
        return datetime.fromisoformat(orjson.loads(state)["timestamp"]["_data_"])
    except (KeyError, ValueError, TypeError):
        return None


_new: Final = object.__new__
_set: Final = object.__setattr__


def _upcast(event_type: type[Event], fields: dict[str, Any]) -> None:
    """Bring the fields of an old version to the current one, step by step, as the library's mapper does."""
    stored_version = fields.pop("class_version", 1)
    for old in range(stored_version, getattr(event_type, "class_version", 1)):
        getattr(event_type, f"upcast_v{old}_v{old + 1}")(fields)
