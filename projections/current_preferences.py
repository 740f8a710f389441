"""What a user chose, as of now: the read model that GET answers from, and the snapshot that PATCH decides from.

One function makes it, for the live path (in the append's own transaction) and for a rebuild from position 0.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.catalogue import Choices
from domain.events import NotificationToggled, PreferencesEvent


class CurrentPreferences(NamedTuple):
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
    if row is None:
        row = CurrentPreferences(
            event.originator_id, event.organization, vars(event)["actor"]["user"], 0, {}, event.timestamp
        )
    if event.originator_version != row.version + 1:
        raise ValueError(f"stream {row.stream}: version {event.originator_version} where {row.version + 1} was due")
    choices = row.choices
    if isinstance(event, NotificationToggled):
        choices = {**choices, event.path: event.enabled}
    return CurrentPreferences(row.stream, row.organization, row.user, row.version + 1, choices, event.timestamp)
