"""The audit log of an organization: what was done to whose preferences, by whom, when.

An event is shown as one entry, and found by one row of an index. The row holds nothing personal, so that erasure need not
touch it: whose preferences they are is told by the stream's id, all else that can be asked for by a class of events.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from domain.events import CommonEvent, Event, NotificationToggled, PreferencesErased, PreferencesOpened
from domain.provenance import ERASED
from projections.shown_actor import STAFF, Actor, ActorKind, shown_actor


class Action(StrEnum):
    """What an entry can be about, in the product's form `noun.verb`."""

    TOGGLE = "notification_preferences.toggle"
    ERASE = "notification_preferences.erase"


OPEN: Final = "notification_preferences.open"
"""What the index calls the event that begins a stream. It is no entry: nothing was decided that the next event doesn't tell."""

RESOURCE_TYPE: Final = "user"


@dataclass(frozen=True, slots=True)
class Choice:
    """A toggle and what was recorded for it; None if nothing was, and the default applied."""

    channel: str
    toggle: str
    enabled: bool | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`id` is the event's ULID, `user` the one whose preferences they are. Erasure has no choice before or after it."""

    id: str
    occurred_at: datetime
    actor: Actor
    action: Action
    user: str
    source: str
    request_id: str
    before: Choice | None
    after: Choice | None


def audit_entry(event: NotificationToggled | PreferencesErased) -> AuditEntry:
    if isinstance(event, PreferencesErased):
        return AuditEntry(
            id=event.event_id,
            occurred_at=event.timestamp,
            actor=STAFF,
            action=Action.ERASE,
            user=ERASED["user"],
            source=event.source,
            request_id=event.request_id,
            before=None,
            after=None,
        )
    return AuditEntry(
        id=event.event_id,
        occurred_at=event.timestamp,
        actor=shown_actor(event),
        action=Action.TOGGLE,
        user=event.actor["user"],
        source=event.source,
        request_id=event.request_id,
        before=Choice(event.channel, event.toggle, event.previous),
        after=Choice(event.channel, event.toggle, event.enabled),
    )


class EventClass(NamedTuple):
    """All that events can be asked for by, other than user and time. An organization has some dozens of classes."""

    organization: str
    action: str
    channel: str | None
    toggle: str | None
    enabled: bool | None
    source: str
    actor_kind: ActorKind


class IndexRow(NamedTuple):
    of: EventClass
    occurred_at: datetime
    stream: UUID


def index_row(event: Event) -> IndexRow | None:
    """Where an event is found in its organization; None for what belongs to no organization."""
    if isinstance(event, CommonEvent) or event.organization is None:
        return None
    return IndexRow(_class_of(event, event.organization), event.timestamp, event.originator_id)


def _class_of(event: PreferencesOpened | NotificationToggled | PreferencesErased, organization: str) -> EventClass:
    if isinstance(event, PreferencesErased):
        return EventClass(organization, Action.ERASE, None, None, None, event.source, ActorKind.PLATFORM)
    kind = shown_actor(event).kind
    if isinstance(event, PreferencesOpened):
        return EventClass(organization, OPEN, None, None, None, event.source, kind)
    return EventClass(organization, Action.TOGGLE, event.channel, event.toggle, event.enabled, event.source, kind)
