"""What a user's preferences were at an instant, and what each of them rested on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from domain.catalogue import Catalogue, Choices
from domain.events import NotificationToggled, PreferencesEvent
from domain.preferences import NotificationPreferences


@dataclass(frozen=True, slots=True)
class PreferencesAsOf:
    """`version` counts the events of the stream until then; `decided_by` has the event of each choice, by path."""

    catalogue: Catalogue
    version: int = 0
    choices: Choices = field(default_factory=dict)
    decided_by: dict[str, NotificationToggled] = field(default_factory=dict)


def as_of(events: Iterable[PreferencesEvent], catalogue: Catalogue, instant: datetime) -> PreferencesAsOf:
    """The state after all of a stream's events until `instant`, that moment included; `catalogue` was in force then.

    Raises the library's `OriginatorVersionError` for a stream with a gap, which must never be papered over.
    """
    preferences: NotificationPreferences | None = None
    decided_by: dict[str, NotificationToggled] = {}
    for event in events:
        if event.timestamp > instant:  # within a stream time never runs backwards
            break
        preferences = event.mutate(preferences)
        if isinstance(event, NotificationToggled):
            decided_by[event.path] = event
    if preferences is None:
        return PreferencesAsOf(catalogue)
    return PreferencesAsOf(catalogue, preferences.version, preferences.choices, decided_by)
