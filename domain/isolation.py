"""Whose an event is, and the one check that stands between the log and those who read it.

Whatever is made of events for a reader (`projections/`) takes them as `Shown...`, and only `Audience.clear` gives that: so a new
answer that forgets the check is an error of types. At run time these types are the events themselves.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NewType, Self, get_args, overload
from uuid import UUID

from domain.errors import ForeignEvent
from domain.events import (
    CataloguePublished,
    Event,
    LogContinued,
    NotificationToggled,
    PreferencesErased,
    PreferencesEvent,
    PreferencesOpened,
)
from domain.preferences import stream_id, stream_keys
from domain.provenance import ERASED, UNREADABLE

ShownOpened = NewType("ShownOpened", PreferencesOpened)
ShownToggled = NewType("ShownToggled", NotificationToggled)
ShownErased = NewType("ShownErased", PreferencesErased)
ShownCatalogue = NewType("ShownCatalogue", CataloguePublished)

ShownContinued = NewType("ShownContinued", LogContinued)

Shown = ShownOpened | ShownToggled | ShownErased | ShownCatalogue | ShownContinued
"""An event that its reader may see."""

OF_USERS: Final = frozenset(get_args(PreferencesEvent))
"""The events that belong to one user in one organization. All others belong to no user, and are everybody's."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom events are answered to: one organization, one user in it, or the platform, which sees all organizations.

    `organization` is None for users without an active one, which is a scope of its own; with `all_of_them` it doesn't matter.
    `stream` is set where only one user's events were asked for. `found_by` names what found them, for the log.
    """

    organization: str | None
    found_by: str
    stream: UUID | None = None
    all_of_them: bool = False

    @classmethod
    def of_organization(cls, organization: str, found_by: str) -> Self:
        return cls(organization, found_by)

    @classmethod
    def of_user(cls, organization: str | None, user: str, found_by: str) -> Self:
        return cls(organization, found_by, stream_id(organization, user))

    @overload
    def clear(self, event: NotificationToggled, position: int | None = None) -> ShownToggled: ...
    @overload
    def clear(self, event: PreferencesOpened, position: int | None = None) -> ShownOpened: ...
    @overload
    def clear(self, event: PreferencesErased, position: int | None = None) -> ShownErased: ...
    @overload
    def clear(self, event: CataloguePublished, position: int | None = None) -> ShownCatalogue: ...
    @overload
    def clear(self, event: LogContinued, position: int | None = None) -> ShownContinued: ...
    @overload
    def clear(self, event: Event, position: int | None = None) -> Shown: ...
    def clear(self, event: Any, position: int | None = None) -> Any:
        """The event, if this audience may see it. Raises `ForeignEvent`: then nothing of the answer may be shown.

        `position` is where the event stands in the log, if that is known.
        """
        if self.all_of_them or type(event) not in OF_USERS:
            return event
        if event.organization != self.organization:
            whose = "another organization"
        elif self.stream not in (None, event.originator_id):
            whose = "another user"
        elif not _stands_in_its_stream(event):
            whose = "another stream"
        else:
            return event
        where = f"version {event.originator_version} of stream {event.originator_id}"
        place = where if position is None else f"position {position} ({where})"
        raise ForeignEvent(
            f"{self.found_by} has an event of {whose}: {place} is of {event.organization}, and was read for {self.organization}"
        )


PLATFORM: Final = Audience(None, "the log", all_of_them=True)
"""What runs beside this service for all organizations, and its operators."""


def _stands_in_its_stream(event: PreferencesEvent) -> bool:
    """Whether the stream is that of the user whom the event names. An event whose actor is erased, or can't be read, can't tell."""
    if isinstance(event, PreferencesErased) or event.actor in (ERASED, UNREADABLE):
        return True
    return event.originator_id.int == _derived(event.organization, event.actor["user"])


@lru_cache(maxsize=10_000)
def _derived(organization: str | None, user: str) -> int:
    """The id of a stream as a number, which compares faster. Remembered apart from `stream_id`, whose place is for the users of
    the moment, while whoever reads a log goes through all of them."""
    [key] = stream_keys(organization, (user,))
    return int.from_bytes(key)
