"""The log, folded: what a test holds the answers of the service against."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from uuid import UUID

import psycopg

from domain.catalogue import CATALOGUE, Choices, Resolved
from domain.events import NotificationToggled, PreferencesEvent
from infrastructure.log.event_codec import decode
from projections.current_preferences import CurrentPreferences
from tests.support.events import row_after


@dataclass(frozen=True, slots=True)
class Answered:
    """What the service said to one request. `requested` is empty for a GET."""

    stream: UUID
    request_id: str
    data: Resolved
    requested: Choices


class Moment(NamedTuple):
    """A stream between two requests: only these states were ever real, what lies within a request never was."""

    version: int
    data: Resolved
    request_id: str


class FoldedLog:
    """The whole log of a database, its fold, and the sentences that say what is wrong with either."""

    def __init__(self, url: str) -> None:
        self.positions: list[int] = []
        self.faults: list[str] = []
        self.moments: dict[UUID, list[Moment]] = defaultdict(lambda: [Moment(0, CATALOGUE.resolve({}), "")])
        self.events_of: dict[str, list[PreferencesEvent]] = defaultdict(list)
        rows: dict[UUID, tuple[CurrentPreferences, int]] = {}
        with psycopg.connect(url) as connection:
            # Both tables as of the same moment.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            log = connection.execute(
                "SELECT originator_id, originator_version, topic, state, sealed_actor, key, notification_id "
                "FROM events_with_keys "
                "WHERE topic NOT LIKE '%.catalogue-%' ORDER BY notification_id"
            ).fetchall()
            live = connection.execute(
                "SELECT originator_id, version, choices, modified_at, key, position "
                "FROM current_preferences LEFT JOIN person_keys USING (originator_id)"
            ).fetchall()
        keys = {row[0]: row[4] for row in live}
        for *stored, position in log:
            event = cast("PreferencesEvent", decode(*stored))
            before = rows.get(event.originator_id)
            try:
                row = row_after(before[0] if before else None, event)
            except ValueError as error:
                self.faults.append(f"a gap: {error}")
                continue
            row = row._replace(key=keys.get(row.stream))
            rows[event.originator_id] = row, position
            self._note(row, position, event)
        for stream, *_ in live:
            if stream not in rows:
                self.faults.append(f"{stream} is in the read model alone")
        read_model = {row[0]: (CurrentPreferences(*row[:5]), row[5]) for row in live}
        for stream, row in rows.items():
            if read_model.get(stream) != row:
                self.faults.append(f"{stream}: the read model has {read_model.get(stream)}, the log {row}")

    def _note(self, row: CurrentPreferences, position: int, event: PreferencesEvent) -> None:
        self.positions.append(position)
        moments = self.moments[row.stream]
        moment = Moment(row.version, CATALOGUE.resolve(row.choices), event.request_id)
        if moments[-1].request_id == event.request_id:
            moments[-1] = moment
        elif event.request_id in self.events_of:
            self.faults.append(f"request {event.request_id} was recorded in two places")
        else:
            moments.append(moment)
        self.events_of[event.request_id].append(event)

    def faults_of(self, answers: Iterable[Answered]) -> list[str]:
        """Where the recorded events of these answers to changes aren't what the answers promised, each once."""
        faults = []
        for answer in answers:
            toggled = [e for e in self.events_of.get(answer.request_id, ()) if isinstance(e, NotificationToggled)]
            recorded = {event.path: event.enabled for event in toggled}
            if any(event.originator_id != answer.stream for event in toggled):
                faults.append(f"request {answer.request_id} was recorded for somebody else")
            if len(recorded) != len(toggled):
                faults.append(f"request {answer.request_id} was recorded more than once")
            if not recorded.items() <= dict(answer.requested).items():
                faults.append(f"request {answer.request_id} asked for {answer.requested}, and {recorded} was recorded")
        return faults

    def missing(self, answers: Iterable[Answered]) -> list[str]:
        """The request ids without an event. Only for answers to changes that can't have found all as they wanted it."""
        return [answer.request_id for answer in answers if answer.request_id not in self.events_of]

    def untrue(self, answers: Sequence[Answered]) -> list[str]:
        """The answers to one connection, in their order, that show no state that was real then.

        Real is the state right after the request, or, where it recorded nothing, any state that is not older than what
        this connection was told of the same user before.
        """
        faults = []
        reached: dict[UUID, int] = defaultdict(int)
        for answer in answers:
            moments = self.moments[answer.stream]
            start = reached[answer.stream]
            if events := self.events_of.get(answer.request_id):
                index = bisect_left(moments, events[-1].originator_version, key=lambda moment: moment.version)
                real = index >= start and moments[index].data == answer.data
            else:
                later = range(start, len(moments))
                index = next((i for i in later if moments[i].data == answer.data), start)
                real = moments[index].data == answer.data
            if real and _meets(answer.data, answer.requested):
                reached[answer.stream] = index
            else:
                faults.append(f"{answer} after version {moments[start].version}")
        return faults


def _meets(data: Resolved, requested: Choices) -> bool:
    flat: dict[str, Any] = {
        f"{channel}.{name}": on for channel, toggles in data.items() for name, on in toggles.items()
    }
    return all(flat[path] == enabled for path, enabled in requested.items())
