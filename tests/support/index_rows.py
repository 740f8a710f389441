"""Where an event is found in its organization, said a second time, in Python: what the database's own `audit_rows` is held against."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.events import CommonEvent, Event, PreferencesErased, PreferencesOpened
from projections.audit_log import OPEN, Action
from projections.shown_actor import ActorKind, shown_actor


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
    """None for what belongs to no organization."""
    if isinstance(event, CommonEvent) or event.organization is None:
        return None
    channel = toggle = enabled = None
    if isinstance(event, PreferencesErased):
        action, kind = Action.ERASE.value, ActorKind.PLATFORM
    elif isinstance(event, PreferencesOpened):
        action, kind = OPEN, shown_actor(event).kind
    else:
        action, kind = Action.TOGGLE.value, shown_actor(event).kind
        channel, toggle, enabled = event.channel, event.toggle, event.enabled
    of = EventClass(event.organization, action, channel, toggle, enabled, event.source, kind)
    return IndexRow(of, event.timestamp, event.originator_id)
