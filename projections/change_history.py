"""A user's own history: one entry, readable for the user, for each recorded choice."""

from dataclasses import dataclass
from datetime import datetime

from domain.isolation import ShownToggled
from projections.shown_actor import Actor, shown_actor


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """`id` is the event's ULID. `previous` is the choice before, or None if there was none and the default applied."""

    id: str
    version: int
    occurred_at: datetime
    channel: str
    toggle: str
    enabled: bool
    previous: bool | None
    actor: Actor
    source: str
    request_id: str


def entry(event: ShownToggled) -> HistoryEntry:
    return HistoryEntry(
        id=event.event_id,
        version=event.originator_version,
        occurred_at=event.timestamp,
        channel=event.channel,
        toggle=event.toggle,
        enabled=event.enabled,
        previous=event.previous,
        actor=shown_actor(event),
        source=event.source,
        request_id=event.request_id,
    )
