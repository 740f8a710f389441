"""What a batch of changes makes of one stream, before it is written."""

from collections.abc import Iterator
from uuid import UUID

from application.ports import Append
from application.state import Change, State
from domain.errors import PreconditionFailed
from domain.events import PreferencesEvent
from domain.preferences import NotificationPreferences
from projections.current_preferences import CurrentPreferences, project


class Draft:
    """Decides one change after the other, each from the state that the one before it left behind."""

    def __init__(self, stream: UUID, row: CurrentPreferences | None) -> None:
        self.stream = stream
        self.events: list[PreferencesEvent] = []
        self._expected_version = row.version if row else 0
        self._row = row
        self._aggregate: NotificationPreferences | None = None

    @property
    def state(self) -> State:
        return State.of(self.stream, self._row)

    def decide(self, change: Change, event_ids: Iterator[str]) -> State:
        """The state after `change`. Raises `PreconditionFailed`, which leaves the draft as it was."""
        if change.precondition is not None and not change.precondition(self.state):
            raise PreconditionFailed
        if change.requested:
            aggregate = self._aggregate = self._aggregate or self._restored(change, event_ids)
            aggregate.choose(change.requested, change.provenance, event_ids)
            for event in aggregate.collect_events():
                self._row = project(self._row, event)
                self.events.append(event)
        return self.state

    def append(self) -> Append:
        """What to write. Only for a draft with events."""
        assert self._row is not None
        return Append(self._expected_version, self.events, self._row)

    def _restored(self, change: Change, event_ids: Iterator[str]) -> NotificationPreferences:
        row = self._row
        if row is None:
            return NotificationPreferences.open(self.stream, change.provenance, event_ids)
        return NotificationPreferences.restore(row.stream, row.version, row.choices, row.modified_at)
