"""The two main use cases of this service: read a user's preferences, and change them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias
from uuid import UUID

from application.batching import Batcher, BatchFigures
from application.preferences.draft import Draft
from application.preferences.remembered import RememberedRows
from application.preferences.state import Change, State
from application.preferences.store import Append, AppendRefused, OutcomeUnknown, PreferencesStore
from domain.errors import PreconditionFailed, Unavailable
from domain.events import PreferencesEvent
from projections.current_preferences import CurrentPreferences

ROUNDS: Final = 50
"""How often a change is decided again because another process appended first. In each round, another writer made progress."""

PAUSE: Final = 0.05
"""Seconds between two attempts to find out whether a commit took effect after its answer was lost."""

Outcome: TypeAlias = State | Exception

TraceBatch: TypeAlias = Callable[[Sequence[Change]], AbstractContextManager[object]]
"""The context in which a batch of changes is decided and recorded, for a tracing system."""


@dataclass(slots=True)
class Attempt:
    """A change in progress. `decided` becomes its `outcome` once everything that the decision rests on is recorded.

    `unsure` lists the tries that were sent to the database and never confirmed: one event of each try, and the state that
    the try led to.
    """

    change: Change
    outcome: Outcome | None = None
    decided: Outcome | None = None
    event: PreferencesEvent | None = None
    unsure: list[tuple[PreferencesEvent, Outcome]] = field(default_factory=list)


class Preferences:
    """Reads and changes preferences. Calls that arrive at the same moment share their round trips to the store.

    `event_ids` yields fresh ULIDs. `new_key` makes keys that seal actors. If the answer to a commit is lost, the service
    tries for `resolve_for` seconds to find out whether the commit took effect. `trace` is given only if spans are recorded.
    `appended` is how many events were appended so far; it lacks those whose commit was found out about only later.
    """

    def __init__(
        self,
        store: PreferencesStore,
        event_ids: Iterator[str],
        new_key: Callable[[], bytes],
        *,
        resolve_for: float = 1.0,
        trace: TraceBatch | None = None,
    ) -> None:
        self._store = store
        self._event_ids = event_ids
        self._new_key = new_key
        self._resolve_for = resolve_for
        self._remembered = RememberedRows()
        self._reads: Batcher[UUID, State] = Batcher(self._read_together, gather=True, at_once=True)
        self._changes: Batcher[Change, State] = Batcher(
            self._change_together if trace is None else partial(self._change_traced, trace),
            key=lambda change: change.stream,
        )
        self.appended = 0

    @property
    def batches(self) -> Mapping[str, BatchFigures]:
        return {"reads": self._reads.figures, "changes": self._changes.figures}

    async def read(self, stream: UUID) -> State:
        return await self._reads.submit(stream)

    async def change(self, change: Change) -> State:
        """The state after the change. Raises `PreconditionFailed`, or `Unavailable`; then the outcome may be unknown.

        After an `Unavailable` it is safe to send the change again: a choice that is already recorded is not recorded twice.
        """
        return await self._changes.submit(change)

    async def close(self) -> None:
        """Finish all calls that were accepted."""
        await self._changes.close()
        await self._reads.close()

    async def _read_together(self, streams: Sequence[UUID]) -> Sequence[State]:
        rows = await self._store.load(list(set(streams)))
        self._remembered.put(rows.values())
        return [State.of(stream, rows.get(stream)) for stream in streams]

    async def _change_traced(self, trace: TraceBatch, changes: Sequence[Change]) -> Sequence[Outcome]:
        with trace(changes):
            return await self._change_together(changes)

    async def _change_together(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        attempts = [Attempt(change) for change in changes]
        deadline: float | None = None
        clock = asyncio.get_running_loop().time
        for _ in range(ROUNDS):
            unfinished = [attempt for attempt in attempts if attempt.outcome is None]
            if not unfinished:
                break
            try:
                await self._round(unfinished)
            except Unavailable as error:
                # If no append was sent, nothing was recorded, and the caller learns that at once. Otherwise the log shows
                # what was recorded, as soon as it can be read again.
                if deadline is None and isinstance(error, OutcomeUnknown):
                    deadline = clock() + self._resolve_for
                if deadline is None or clock() > deadline:
                    for attempt in unfinished:
                        attempt.outcome = attempt.outcome or error
                else:
                    await asyncio.sleep(PAUSE)
        return [
            attempt.outcome or Unavailable("other writers changed this user's preferences first each time")
            for attempt in attempts
        ]

    async def _round(self, attempts: Sequence[Attempt]) -> None:
        """Read, decide, append. An attempt without an outcome afterwards was overtaken by another writer and needs another round.

        A remembered row saves a read, but it is only a guess. If an append to it succeeds, the version check has proven it.
        If not, or if there is nothing to append, the row is read in the next round. While guesses are wrong, all rows are read.
        """
        streams = {attempt.change.stream for attempt in attempts}
        guesses = self._remembered.take(streams)
        unknown = list(streams - guesses.keys())
        rows = guesses | (await self._store.load(unknown) if unknown else {})
        # This must come after the states were read. If an unconfirmed event reaches the log later than this check, our append
        # fails its version check, and the next round finds the event.
        await self._recognise([attempt for attempt in attempts if attempt.unsure])
        drafts = self._decide([attempt for attempt in attempts if attempt.outcome is None], rows)
        written = [draft.to_append(self._new_key) for draft in drafts if draft.events]
        recorded = await self._append(written, attempts) if written else frozenset()
        tried = [append.row.stream for append in written if append.row.stream in guesses]
        proven = sum(stream in recorded for stream in tried)
        self._remembered.judge(proven, len(tried) - proven)
        self._remembered.put(append.row for append in written if append.row.stream in recorded)
        _settle(attempts, recorded)
        unchanged = {draft.stream for draft in drafts if not draft.events} - guesses.keys()
        if unchanged:
            await self._store.confirm()
            _settle(attempts, unchanged)

    async def _recognise(self, attempts: Sequence[Attempt]) -> None:
        """Set the outcome of each attempt whose unconfirmed event is in the log."""
        unsure = [(attempt, event, outcome) for attempt in attempts for event, outcome in attempt.unsure]
        if unsure:
            recorded = await self._store.recorded([event for _, event, _ in unsure])
            if recorded:
                await self._store.confirm()
            for attempt, event, outcome in unsure:
                if event.event_id in recorded:
                    attempt.outcome = outcome

    def _decide(self, attempts: Sequence[Attempt], rows: Mapping[UUID, CurrentPreferences]) -> Sequence[Draft]:
        drafts: dict[UUID, Draft] = {}
        for attempt in attempts:
            stream = attempt.change.stream
            draft = drafts.get(stream) or drafts.setdefault(stream, Draft(stream, rows.get(stream)))
            known = len(draft.events)
            try:
                attempt.decided = draft.decide(attempt.change, self._event_ids)
            except PreconditionFailed as error:
                attempt.decided = error
            attempt.event = draft.events[known] if len(draft.events) > known else None
        return list(drafts.values())

    async def _append(self, appends: Sequence[Append], attempts: Sequence[Attempt]) -> AbstractSet[UUID]:
        """The streams that were appended to. If the database refuses the batch, each append is tried alone, so one bad append
        never harms the others."""
        try:
            appended = await self._store.append(appends)
            self.appended += sum([len(append.events) for append in appends if append.row.stream in appended])
            return appended
        except OutcomeUnknown:
            streams = {append.row.stream for append in appends}
            for attempt in attempts:
                if attempt.change.stream in streams and attempt.event and attempt.decided:
                    attempt.unsure.append((attempt.event, attempt.decided))
            raise
        except AppendRefused as error:
            if len(appends) > 1:
                recorded: set[UUID] = set()
                for append in appends:
                    recorded |= await self._append([append], attempts)
                    # Set the outcome now: if the next append loses its connection, this one keeps its outcome.
                    _settle(attempts, recorded)
                return recorded
            for attempt in attempts:
                if attempt.change.stream == appends[0].row.stream:
                    attempt.outcome = error
            return frozenset()


def _settle(attempts: Sequence[Attempt], streams: AbstractSet[UUID]) -> None:
    for attempt in attempts:
        if attempt.outcome is None and attempt.change.stream in streams:
            attempt.outcome = attempt.decided
