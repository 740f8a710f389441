"""The events, as they are stored for ever.

A stored event is found by its topic, never by a module path, so these classes can move. Their fields can't change meaning:
a new shape is a `class_version` of its own with an `upcast_v1_v2` from the old one, as the library's mapper expects.
Fields that are absent in the store take the default written here.

Every event has an `event_id` and a `request_id` (ULIDs), a `source`, the `catalogue_version` in force, and a `timestamp` (the
library's name), which is when it happened, in UTC.
"""

from typing import Any, ClassVar

from eventsourcing.domain import Aggregate

from domain.catalogue import path
from domain.provenance import Actor


class PreferencesOpened(Aggregate.Created):
    """The first event of a stream: from here on this user has chosen something in this organization."""

    TOPIC: ClassVar = "notification-preferences.opened"

    event_id: str
    actor: Actor
    request_id: str
    source: str
    catalogue_version: int
    organization: str | None = None
    impersonated: bool = False


class NotificationToggled(Aggregate.Event):
    """A choice was recorded. `first_choice`: none was recorded for this toggle before, and the default spoke.

    `impersonated`: somebody acted in the user's name. Who it was stands in the actor, and is destroyed with it.
    """

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
    impersonated: bool = False

    @property
    def path(self) -> str:
        return path(self.channel, self.toggle)

    @property
    def previous(self) -> bool | None:
        """The choice before, None if there was none. Repeating a choice records nothing, so it was the other one."""
        return None if self.first_choice else not self.enabled

    def apply(self, aggregate: Any) -> None:
        aggregate.choices[self.path] = self.enabled


class PreferencesErased(Aggregate.Event):
    """The person's key was destroyed, and with it who acted in all events before. The choices stay in force."""

    TOPIC: ClassVar = "notification-preferences.erased"

    event_id: str
    request_id: str
    source: str
    catalogue_version: int
    organization: str | None = None

    def apply(self, aggregate: Any) -> None:
        """Nothing changes: what was chosen is not personal, and has to be respected."""


class CataloguePublished(Aggregate.Created):
    """A catalogue came into force. The stream of the catalogue has one of these for each version, under its number.

    `channels` is the whole catalogue: `[{"name", "toggles": [{"name", "default", "mandatory"}]}]`.
    """

    TOPIC: ClassVar = "notification-preferences.catalogue-published"

    event_id: str
    channels: list[dict[str, Any]]
    request_id: str
    source: str
    catalogue_version: int


class LogContinued(Aggregate.Created):
    """The log goes on upon another server, far behind its end, because events that stood behind `previous_end` may be lost.

    A position between `previous_end` and that of this event may have been given out and read: what stood there is gone.
    The stream of the log has one of these for each continuation. Their versions count from 1.
    """

    TOPIC: ClassVar = "notification-preferences.continued"

    event_id: str
    previous_end: int
    request_id: str
    source: str
    catalogue_version: int


PreferencesEvent = PreferencesOpened | NotificationToggled | PreferencesErased
"""What a stream of preferences consists of."""

CommonEvent = CataloguePublished | LogContinued
"""What belongs to no organization, because it concerns all of them."""

Event = PreferencesEvent | CommonEvent
"""Whatever stands in the log."""
