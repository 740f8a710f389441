"""The owner of an event, and the one check between the log and its readers.

Projections take events as `Shown...`, and only `Audience.clear` returns that type. So a new answer that forgets the check is a type
error. At run time these types are the events themselves.
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
"""The events that belong to one user in one organization. All other events belong to no user, and every reader may see them."""


@dataclass(frozen=True, slots=True)
class Audience:
    """The reader that events are cleared for: one organization, one user in it, or the platform, which sees all organizations.

    `organization` is None for users without an active one; they are a scope of their own. With `all_of_them` it has no effect. `stream`
    is set if only one user's events were asked for. `found_by` names what found the events, for the log.
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
        """Returns the event if this audience may see it. Raises `ForeignEvent`: then no part of the answer may be shown.

        `position` is the event's position in the log, if known.
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
"""The audience of operators, and of components that serve all organizations."""


def _stands_in_its_stream(event: PreferencesEvent) -> bool:
    """Whether the stream belongs to the user that the event names. An erased or unreadable actor names no user, so the event passes."""
    if isinstance(event, PreferencesErased) or event.actor in (ERASED, UNREADABLE):
        return True
    return event.originator_id.int == _derived(event.organization, event.actor["user"])


@lru_cache(maxsize=10_000)
def _derived(organization: str | None, user: str) -> int:
    """The id of a stream as a number, because numbers compare faster. This cache is separate from that of `stream_id`: that one holds the
    users of the moment, while a reader of the log goes through all users.
    """
    [key] = stream_keys(organization, (user,))
    return int.from_bytes(key)
