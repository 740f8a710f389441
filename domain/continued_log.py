"""The continuations of the log: which positions were lost when it went on upon another server."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.events import LogContinued
from domain.preferences import STREAMS
from domain.provenance import Source

STREAM: Final[UUID] = uuid5(STREAMS, "log")
"""The one stream of the log itself. No user's can be the same: theirs are made of JSON lists."""


class LogStream(Aggregate):
    """Names the stream and its event for the library. Nothing is ever folded from it."""

    TOPIC: ClassVar = "notification-preferences.log"
    Event = Aggregate.Event
    Created = LogContinued


class Continuation(NamedTuple):
    """A continuation, and the position at which it stands. Everything between `previous_end` and `position` is lost."""

    previous_end: int
    position: int
    at: datetime

    @classmethod
    def of(cls, position: int, event: LogContinued) -> "Continuation":
        return cls(event.previous_end, position, event.timestamp)


class Moves(NamedTuple):
    """How often the log was continued, the position at which it last was, and its end before; 0 where it never was."""

    times: int
    position: int
    previous_end: int


def loss_of(position: int, continuations: Iterable[Continuation]) -> Continuation | None:
    """The continuation at which what stood at a position was lost, if that may have been given out and is gone."""
    return next((one for one in continuations if one.previous_end < position < one.position), None)


def without_gaps(position: int, continuations: Iterable[Continuation]) -> int:
    """The position, without those before it that no event was ever given: what tells how far a reader is."""
    return position - sum(
        min(position, one.position - 1) - one.previous_end for one in continuations if one.previous_end < position
    )


def continued(
    previous_end: int, version: int, *, at: datetime, event_id: str, request_id: str, catalogue_version: int
) -> LogContinued:
    """The event that continues the log, the `version`th of its stream."""
    fields: dict[str, Any] = {
        "originator_id": STREAM,
        "originator_version": version,
        "originator_topic": LogStream.TOPIC,
        "timestamp": at,
        "event_id": event_id,
        "previous_end": previous_end,
        "request_id": request_id,
        "source": Source.SYSTEM.value,
        "catalogue_version": catalogue_version,
    }
    return LogContinued(**fields)
