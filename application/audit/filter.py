"""The filter of a request to the audit log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.vocabulary import unknown
from domain.catalogue import Catalogue
from domain.errors import ValidationFailed
from domain.events import NotificationToggled, PreferencesErased
from domain.isolation import Shown
from projections.audit_log import Action
from projections.shown_actor import ActorKind, shown_actor


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The conditions that an entry must meet, all of them. Every entry meets a condition that is None.

    `since` is inclusive, `until` is exclusive.
    """

    action: Action | None = None
    stream: UUID | None = None
    actor_kind: ActorKind | None = None
    channel: str | None = None
    toggle: str | None = None
    enabled: bool | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_recorded(self) -> dict[str, Any]:
        """The filter in the types of JSON, for the record of reading."""
        fields = {
            "action": self.action,
            "resource_stream": str(self.stream) if self.stream else None,
            "actor_kind": self.actor_kind,
            "channel": self.channel,
            "toggle": self.toggle,
            "enabled": self.enabled,
            "source": self.source,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def fits(self, event: Shown) -> bool:
        """Whether the event is an audit entry that meets the filter. Checked on the event itself, because the index is not trusted."""
        if not (
            (self.stream is None or event.originator_id == self.stream)
            and (self.source is None or event.source == self.source)
            and (self.since is None or event.timestamp >= self.since)
            and (self.until is None or event.timestamp < self.until)
        ):
            return False
        if isinstance(event, PreferencesErased):
            chosen = (self.channel, self.toggle, self.enabled) == (None, None, None)
            return chosen and self.action in (None, Action.ERASE) and self.actor_kind in (None, ActorKind.PLATFORM)
        return (
            isinstance(event, NotificationToggled)
            and self.action in (None, Action.TOGGLE)
            and self.channel in (None, event.channel)
            and self.toggle in (None, event.toggle)
            and (self.enabled is None or self.enabled is event.enabled)
            and self.actor_kind in (None, shown_actor(event).kind)
        )

    def check(self, catalogue: Catalogue) -> None:
        """Raise `ValidationFailed` for a filter that no entry can meet. An empty page would hide a misspelt word."""
        details = unknown(catalogue, self.channel, self.toggle)
        if self.since is not None and self.until is not None and self.since > self.until:
            details["since"] = "must not be after until"
        if details:
            raise ValidationFailed(details=details)
