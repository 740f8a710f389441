"""The store that the preferences need, as a protocol."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.catalogue import Choices
from domain.errors import Unavailable
from domain.events import NotificationToggled, PreferencesEvent
from projections.current_preferences import CurrentPreferences


class Append(NamedTuple):
    """New events of one stream, and the row after them. The stream must be at `expected_version` with `expected_choices`;
    None means that the choices are not checked.

    The actors of the events are sealed under the row's key. With `opens_key` the key is new and is stored along with the events.
    """

    expected_version: int
    events: Sequence[PreferencesEvent]
    row: CurrentPreferences
    opens_key: bool
    expected_choices: Choices | None = None


class OutcomeUnknown(Unavailable):
    """The connection was lost during the commit: the change may be recorded or not. `recorded` gives the answer."""


class AppendRefused(Exception):
    """The database refused the whole transaction. Nothing of it was recorded."""


class Changes(Protocol):
    async def changes(self, stream: UUID, *, up_to: int | None, limit: int) -> list[NotificationToggled]:
        """The newest recorded choices of a stream, newest first. If `up_to` is given, none above that version. Raises `Unavailable`."""
        ...


class PreferencesStore(Changes, Protocol):
    """The log of events and the current preferences, which are written together.

    Every method raises `Unavailable` while the database can't be reached.
    """

    async def load(self, streams: Sequence[UUID]) -> dict[UUID, CurrentPreferences]:
        """The current preferences of these streams, in one round trip. A user who never chose is absent."""
        ...

    async def append(self, appends: Sequence[Append]) -> AbstractSet[UUID]:
        """Append to several streams, and project their rows, in one transaction and one round trip.

        Returns the streams that were appended to. A stream that is no longer at its expected version, or no longer has its
        expected choices, is left unchanged and is absent from the answer; the others are appended to. Raises `OutcomeUnknown` if
        the answer to the commit was lost, and `AppendRefused` if one append made the database refuse all of them.
        """
        ...

    async def recorded(self, events: Sequence[PreferencesEvent]) -> AbstractSet[str]:
        """The ids of those of these events that are in the log."""
        ...

    async def confirm(self) -> None:
        """Return once everything that can be read now will outlive the loss of the database's server. Raises `Unavailable` if that is
        not known in time.

        An append confirms itself. An answer that rests on what is recorded already has to ask.
        """
        ...
