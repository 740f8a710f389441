"""Events for tests, with everything filled in that a test doesn't care about."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.continued_log import continued as continued_log
from domain.events import (
    CataloguePublished,
    LogContinued,
    NotificationToggled,
    PreferencesErased,
    PreferencesEvent,
    PreferencesOpened,
)
from domain.preferences import NotificationPreferences, stream_id
from domain.published_catalogues import STREAM as CATALOGUE_STREAM
from projections.current_preferences import CurrentPreferences

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
ADA = stream_id("org_math", "user_ada")
BOB = stream_id(None, "user_bob")
KEY = bytes(range(32))
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""The example of W3C Trace Context."""
_ULIDS = (f"01JTBQH2FZ8K1RXC0W{n:08}" for n in itertools.count(1))


def _common(stream: UUID, version: int) -> dict[str, Any]:
    return {
        "originator_id": stream,
        "originator_version": version,
        "timestamp": NOON + timedelta(minutes=version),
        "event_id": next(_ULIDS),
        "actor": {"user": "user_ada" if stream == ADA else "user_bob", "session": "sess_1"},
        "organization": "org_math" if stream == ADA else None,
        "request_id": next(_ULIDS),
        "source": "dashboard",
        "catalogue_version": 1,
    }


def opened(stream: UUID = ADA, **fields: Any) -> PreferencesOpened:
    return PreferencesOpened(**{**_common(stream, 1), "originator_topic": "notification-preferences", **fields})


def toggled(version: int, toggle: str, enabled: bool, stream: UUID = ADA, **fields: Any) -> NotificationToggled:
    first_choice = fields.pop("previous", None) is None
    chosen = {"channel": "email", "toggle": toggle, "enabled": enabled, "first_choice": first_choice}
    return NotificationToggled(**{**_common(stream, version), **chosen, **fields})


def erased(version: int, stream: UUID = ADA, **fields: Any) -> PreferencesErased:
    common = _common(stream, version)
    del common["actor"]
    return PreferencesErased(**{**common, "source": "admin", **fields})


def catalogue_published(version: int = 1, **fields: Any) -> CataloguePublished:
    news = {"name": "news", "default": True, "mandatory": False}
    common = _common(CATALOGUE_STREAM, version)
    for absent in ("actor", "organization"):
        del common[absent]
    return CataloguePublished(
        **{
            **common,
            "originator_topic": "notification-preferences.catalogue",
            "channels": [{"name": "email", "toggles": [news]}],
            "source": "system",
            "catalogue_version": version,
            **fields,
        }
    )


def continued(previous_end: int, version: int = 1, *, at: datetime = NOON) -> LogContinued:
    ids = {"event_id": next(_ULIDS), "request_id": next(_ULIDS)}
    return continued_log(previous_end, version, at=at, catalogue_version=1, **ids)


def row_after(row: CurrentPreferences | None, *events: PreferencesEvent) -> CurrentPreferences:
    """The row that these events lead to, folded by the aggregate: what the projection is held against.

    A gap or a repeat is a ValueError.
    """
    stream, version, choices, key = events[0].originator_id, 0, {}, KEY
    if row is not None:
        stream, version, choices, _, key = row
    aggregate = NotificationPreferences.restore(stream, version, choices, events[0].timestamp)
    for number, event in enumerate(events, version + 1):
        if event.originator_version != number:
            raise ValueError(f"stream {stream}: version {event.originator_version} where {number} was due")
        if not isinstance(event, PreferencesOpened):
            event.apply(aggregate)
    return CurrentPreferences(stream, number, aggregate.choices, events[-1].timestamp, key)
