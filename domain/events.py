"""The events, as they are stored for ever.

A stored event is found by its topic and not by a module path, so these classes can move. The meaning of a field never changes. A new
shape gets a `class_version` of its own, with an `upcast_v1_v2` from the old one, as the library's mapper expects. A field that is absent
in the store takes the default written here.

Every event has an `event_id` and a `request_id` (ULIDs), a `source` and the `catalogue_version` in force. Its `timestamp` (the library's
name) says when it happened, in UTC. An event that a request recorded may have the `traceparent` that the client sent with it.
"""

from typing import Any, ClassVar

from eventsourcing.domain import Aggregate

from domain.catalogue import path
from domain.provenance import Actor


class PreferencesOpened(Aggregate.Created):
    """The first event of a stream. The user makes a first choice in this organization."""

    TOPIC: ClassVar = "notification-preferences.opened"

    event_id: str
    actor: Actor
    request_id: str
    source: str
    catalogue_version: int
    organization: str | None = None
    impersonated: bool = False
    traceparent: str | None = None


class NotificationToggled(Aggregate.Event):
    """A choice was recorded. `first_choice`: there was no recorded choice for this toggle before, so the default applied.

    `impersonated`: a member of staff acted in the user's name. The actor says who it was, until erasure makes it unreadable.
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
    traceparent: str | None = None

    @property
    def path(self) -> str:
        return path(self.channel, self.toggle)

    @property
    def previous(self) -> bool | None:
        """The choice before, None if there was none. Repeating a choice records nothing, so the choice before was the opposite."""
        return None if self.first_choice else not self.enabled

    def apply(self, aggregate: Any) -> None:
        aggregate.choices[self.path] = self.enabled


class PreferencesErased(Aggregate.Event):
    """The person's key was destroyed, so the actors of all earlier events can no longer be read. The choices stay in force."""

    TOPIC: ClassVar = "notification-preferences.erased"

    event_id: str
    request_id: str
    source: str
    catalogue_version: int
    organization: str | None = None

    def apply(self, aggregate: Any) -> None:
        """Changes nothing: the choices are not personal, and senders must still respect them."""


class CataloguePublished(Aggregate.Created):
    """A catalogue came into force. The catalogue's stream has one such event for each version; the event's number is that version.

    `channels` is the whole catalogue: `[{"name", "title", "description", "toggles": [{"name", "title", "description", "default",
    "mandatory"}]}]`. Catalogues from before there were words have no `title` and no `description`.
    """

    TOPIC: ClassVar = "notification-preferences.catalogue-published"

    event_id: str
    channels: list[dict[str, Any]]
    request_id: str
    source: str
    catalogue_version: int


class LogContinued(Aggregate.Created):
    """The log goes on on another server, far beyond its end there, because events after `previous_end` may be lost.

    A position between `previous_end` and this event may have been assigned and read. Its event is gone. The log's own stream has one such
    event for each continuation. Their versions count from 1.
    """

    TOPIC: ClassVar = "notification-preferences.continued"

    event_id: str
    previous_end: int
    request_id: str
    source: str
    catalogue_version: int


PreferencesEvent = PreferencesOpened | NotificationToggled | PreferencesErased
"""The events of a user's stream."""

CommonEvent = CataloguePublished | LogContinued
"""Events that belong to no organization, because they concern all of them."""

Event = PreferencesEvent | CommonEvent
"""Any event of the log."""
