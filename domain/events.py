"""The events, as they are stored for ever.

A stored event is found by its topic, never by a module path, so these classes can move. Their fields can't change meaning:
a new shape is a `class_version` of its own with an `upcast_v1_v2` from the old one, as the library's mapper expects.
Fields that are absent in the store take the default written here.
"""

from typing import Any, ClassVar

from eventsourcing.domain import Aggregate

from domain.catalogue import path
from domain.provenance import Actor


class PreferencesOpened(Aggregate.Created):
    """The first event of a stream: from here on this user has chosen something in this organization.

    `event_id` and `request_id` are ULIDs; `timestamp` (the library's name) is when it happened, in UTC.
    """

    TOPIC: ClassVar = "notification-preferences.opened"

    event_id: str
    actor: Actor
    request_id: str
    source: str
    catalogue_version: int
    organization: str | None = None


class NotificationToggled(Aggregate.Event):
    """A choice was recorded. `first_choice`: none was recorded for this toggle before, and the default spoke."""

    TOPIC: ClassVar = "notification-preferences.toggled"

    event_id: str
    channel: str
    toggle: str
    enabled: bool
    actor: Actor
    request_id: str
    source: str
    catalogue_version: int
    organization: str | None = None
    first_choice: bool = False

    @property
    def path(self) -> str:
        return path(self.channel, self.toggle)

    @property
    def previous(self) -> bool | None:
        """The choice before, None if there was none. Repeating a choice records nothing, so it was the other one."""
        return None if self.first_choice else not self.enabled

    def apply(self, aggregate: Any) -> None:
        aggregate.choices[self.path] = self.enabled


PreferencesEvent = PreferencesOpened | NotificationToggled
