"""The audit log of an organization: who changed whose preferences, and when.

One event is shown as one entry. One row of the audit index finds it. `index_events` makes that row, and `audit_class` says what
it holds (both in 0013).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.events import PreferencesErased
from domain.isolation import ShownErased, ShownToggled
from domain.provenance import ERASED
from projections.shown_actor import STAFF, Actor, shown_actor


class Action(StrEnum):
    """The kinds of entries, in the product's form `noun.verb`."""

    TOGGLE = "notification_preferences.toggle"
    ERASE = "notification_preferences.erase"


OPEN: Final = "notification_preferences.open"
"""The index's name for the event that begins a stream. The audit log does not show it, because the next event says all of it."""

RESOURCE_TYPE: Final = "user"


@dataclass(frozen=True, slots=True)
class Choice:
    """A toggle and its recorded choice. `enabled` is None if there was no choice and the default applied."""

    channel: str
    toggle: str
    enabled: bool | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`id` is the event's ULID, `user` the owner of the preferences. An erasure has no choice before or after it."""

    id: str
    occurred_at: datetime
    actor: Actor
    action: Action
    user: str
    source: str
    request_id: str
    before: Choice | None
    after: Choice | None


def audit_entry(event: ShownToggled | ShownErased) -> AuditEntry:
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
