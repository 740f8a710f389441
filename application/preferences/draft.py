"""The effect of a batch of changes on one stream, before it is written."""

from collections.abc import Callable, Iterator
from uuid import UUID

from application.preferences.state import Change, State
from application.preferences.store import Append
from domain.errors import PreconditionFailed
from domain.events import PreferencesErased, PreferencesEvent
from domain.preferences import NotificationPreferences
from domain.provenance import BY_LINK, ERASED, Provenance
from projections.current_preferences import CurrentPreferences


class Draft:
    """Decides the changes of a batch one after the other. Each change starts from the state after the previous one."""

    def __init__(self, stream: UUID, row: CurrentPreferences | None) -> None:
        self.stream = stream
        self.events: list[PreferencesEvent] = []
        self.state = State.of(stream, row)
        self._row = row
        self._aggregate: NotificationPreferences | None = None

    def decide(self, change: Change, event_ids: Iterator[str]) -> State:
        """The state after `change`. Raises `PreconditionFailed`; the draft then stays as it was."""
        if change.precondition is not None and not change.precondition(self.state):
            raise PreconditionFailed
        if change.requested:
            if self._is_erased() and change.provenance.source in BY_LINK:
                # The links in the mails of an erased person still work, and the click of a bearer doesn't name the person again. A trace
                # could name the person, too.
                change = change._replace(provenance=change.provenance._replace(actor=ERASED, traceparent=None))
            aggregate = self._aggregate = self._aggregate or self._restored(change, event_ids)
            aggregate.choose(change.requested, change.provenance, event_ids)
            self._collect(aggregate)
        return self.state

    def erase(self, provenance: Provenance, event_ids: Iterator[str]) -> None:
        """Record that the person was erased. The draft must have a row."""
        row = self._row
        assert row is not None
        aggregate = NotificationPreferences.restore(row.stream, row.version, row.choices, row.modified_at)
        aggregate.erase(provenance, event_ids)
        self._collect(aggregate)

    def to_append(self, new_key: Callable[[], bytes] | None) -> Append:
        """What to write. The draft must have events.

        `new_key` makes a key if the person has none, or no longer has one, and the events name the person. Pass None for an erasure.
        """
        known = self._row.key if self._row else None
        opened = new_key() if known is None and new_key is not None and self._names_the_person() else None
        _, version, choices = self.state
        modified_at = self.events[-1].timestamp
        return Append(
            expected_version=version - len(self.events),
            events=self.events,
            row=CurrentPreferences(self.stream, version, choices, modified_at, known or opened),
            opens_key=opened is not None,
            expected_choices=self._row.choices if self._row else {},
        )

    def _names_the_person(self) -> bool:
        """A click on an erased person's link must not open a key, which would make the person known to the next click."""
        return any(not isinstance(event, PreferencesErased) and event.actor != ERASED for event in self.events)

    def _is_erased(self) -> bool:
        """A stream without a key belongs to an erased person, or has only events that are older than sealing."""
        return self._row is not None and self._row.key is None

    def _collect(self, aggregate: NotificationPreferences) -> None:
        if pending := aggregate.collect_events():
            self.events += pending
            # A copy, because the aggregate changes with the next change of the batch, and this state is already an answer.
            self.state = State(self.stream, aggregate.version, dict(aggregate.choices))

    def _restored(self, change: Change, event_ids: Iterator[str]) -> NotificationPreferences:
        row = self._row
        if row is None:
            return NotificationPreferences.open(self.stream, change.provenance, event_ids)
        return NotificationPreferences.restore(row.stream, row.version, row.choices, row.modified_at)
