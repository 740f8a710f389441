"""A store in memory that keeps the port's promises, and can be told to break like a real one."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from uuid import UUID

from application.preferences.store import Append, PreferencesStore
from domain.events import NotificationToggled, PreferencesEvent
from projections.current_preferences import CurrentPreferences


class MemoryStore(PreferencesStore):
    """`mishaps` are taken one for each append, oldest first: an exception to raise, before or after it takes effect."""

    def __init__(self) -> None:
        self.log: list[PreferencesEvent] = []
        self.rows: dict[UUID, CurrentPreferences] = {}
        self.mishaps: list[Mishap] = []
        self.loads = 0
        self.appends = 0
        self.unreachable: list[Exception] = []

    async def load(self, streams: Sequence[UUID]) -> dict[UUID, CurrentPreferences]:
        self.loads += 1
        if self.unreachable:
            raise self.unreachable.pop(0)
        return {stream: self.rows[stream] for stream in streams if stream in self.rows}

    async def append(self, appends: Sequence[Append]) -> AbstractSet[UUID]:
        self.appends += 1
        mishap = self.mishaps.pop(0) if self.mishaps else None
        if mishap:
            mishap.before(self, appends)
        done = set()
        for append in appends:
            row = self.rows.get(append.row.stream)
            version, choices = (row.version, row.choices) if row else (0, {})
            if version == append.expected_version and append.expected_choices in (None, choices):
                self.log.extend(append.events)
                self.rows[append.row.stream] = append.row
                done.add(append.row.stream)
        if mishap:
            mishap.after(self, appends)
        return done

    async def recorded(self, events: Sequence[PreferencesEvent]) -> AbstractSet[str]:
        return {event.event_id for event in self.log} & {event.event_id for event in events}

    async def changes(self, stream: UUID, *, up_to: int | None, limit: int) -> list[NotificationToggled]:
        found = [event for event in reversed(self.log) if isinstance(event, NotificationToggled)]
        return [e for e in found if e.originator_id == stream and (up_to is None or e.originator_version <= up_to)][
            :limit
        ]


class Mishap:
    """What goes wrong around one append. By default nothing."""

    def before(self, store: MemoryStore, appends: Sequence[Append]) -> None: ...

    def after(self, store: MemoryStore, appends: Sequence[Append]) -> None: ...
