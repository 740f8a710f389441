"""What the use cases need of the outside, in their own words."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from typing_extensions import override

from domain.catalogue import Choices
from domain.errors import Unavailable
from domain.events import Event, NotificationToggled, PreferencesEvent
from projections.current_preferences import CurrentPreferences


class Recorded(NamedTuple):
    """An event, and its position in the log: an order, never a count, since positions have gaps."""

    position: int
    event: Event


class UnreadableEvent(Exception):
    """A stored event that no code here understands. Its position stops the reader; it is never passed over.

    `position` is 0 until whoever reads the log has filled it in.
    """

    position = 0

    @override
    def __str__(self) -> str:
        what = super().__str__()
        return f"the event at position {self.position} can't be read: {what}" if self.position else what


@dataclass(frozen=True, slots=True)
class Append:
    """New events of one stream, which stood at `expected_version` with `expected_choices`, and the row that they lead to.
    None stands for choices that don't matter.

    Their actors are sealed under the row's key; with `opens_key` it is new, and recorded along with them.
    """

    expected_version: int
    events: Sequence[PreferencesEvent]
    row: CurrentPreferences
    opens_key: bool
    expected_choices: Choices | None = None


class OutcomeUnknown(Unavailable):
    """The connection was lost while committing: the change may have been recorded, or not. Ask `recorded`."""


class AppendRefused(Exception):
    """The database refused the transaction as such. Nothing of it was recorded."""


class PreferencesStore(Protocol):
    """The log of events and the current preferences, kept together.

    Every method raises `Unavailable` while the database can't be reached.
    """

    async def load(self, streams: Sequence[UUID]) -> dict[UUID, CurrentPreferences]:
        """The current preferences of these streams, in one round trip. Who never chose is absent."""
        ...

    async def append(self, appends: Sequence[Append]) -> AbstractSet[UUID]:
        """Append to several streams, and project their rows, in one transaction and one round trip.

        Returns the streams that were appended to. One that no longer stands at its expected version, or with its expected
        choices, is left alone and absent from the answer; it doesn't hinder the others. Raises `OutcomeUnknown` where the answer to the commit
        was lost, and `AppendRefused` where one member made the database refuse all of them.
        """
        ...

    async def recorded(self, events: Sequence[PreferencesEvent]) -> AbstractSet[str]:
        """The ids of those of these events that stand in the log."""
        ...

    async def changes(self, stream: UUID, *, up_to: int | None, limit: int) -> list[NotificationToggled]:
        """The newest recorded choices of a stream, newest first; none above version `up_to` where it is given."""
        ...
