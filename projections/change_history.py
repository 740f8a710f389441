"""A user's own history: each recorded choice as one entry that the user can read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.events import NotificationToggled

# Staff are shown under one generic label: a user learns that support acted, not which employee did.
STAFF_LABEL = "support"


@dataclass(frozen=True, slots=True)
class Actor:
    """`platform` is our staff, acting in a user's name; `customer` is the user."""

    kind: Literal["customer", "platform"]
    label: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """`id` is the event's ULID. `previous` is the choice before, None if there was none and the default spoke."""

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


def entry(event: NotificationToggled) -> HistoryEntry:
    staff = "impersonator" in event.actor
    return HistoryEntry(
        id=event.event_id,
        version=event.originator_version,
        occurred_at=event.timestamp,
        channel=event.channel,
        toggle=event.toggle,
        enabled=event.enabled,
        previous=event.previous,
        actor=Actor("platform", STAFF_LABEL) if staff else Actor("customer", event.actor["user"]),
        source=event.source,
        request_id=event.request_id,
    )
