"""What a user chose, as of now: the read model that GET answers from, and the snapshot that PATCH decides from.

One function makes it, for the live path (in the append's own transaction) and for a rebuild from position 0.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.catalogue import Choices
from domain.events import NotificationToggled, PreferencesEvent


@dataclass(frozen=True, slots=True)
class CurrentPreferences:
    """A row. `version` counts the events of the stream, `modified_at` is the time of the last one (UTC)."""

    stream: UUID
    organization: str | None
    user: str
    version: int
    choices: Choices
    modified_at: datetime


def project(row: CurrentPreferences | None, event: PreferencesEvent) -> CurrentPreferences:
    """The row after `event`, given the row before it, which is None for the first event of a stream.

    Raises ValueError if the event isn't the next one of the stream: a gap in the log must never be papered over.
    """
    expected = row.version + 1 if row else 1
    if event.originator_version != expected:
        raise ValueError(f"stream {event.originator_id}: version {event.originator_version} where {expected} was due")
    choices = row.choices if row else {}
    if isinstance(event, NotificationToggled):
        choices = {**choices, event.path: event.enabled}
    return CurrentPreferences(
        stream=event.originator_id,
        organization=row.organization if row else event.organization,
        user=row.user if row else event.actor["user"],
        version=event.originator_version,
        choices=choices,
        modified_at=event.timestamp,
    )
