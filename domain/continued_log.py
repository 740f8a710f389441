"""The continuations of the log: the positions that were lost when the log went on on another server, after a failover or from a backup."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.events import LogContinued
from domain.preferences import STREAMS
from domain.provenance import Source

STREAM: Final[UUID] = uuid5(STREAMS, "log")
"""The log has one stream of its own. No user's stream can have the same id, because user streams are named by JSON lists."""


class LogStream(Aggregate):
    """Names the stream and its event for the library. No state is ever folded from it."""

    TOPIC: ClassVar = "notification-preferences.log"
    Event = Aggregate.Event
    Created = LogContinued


class Continuation(NamedTuple):
    """A continuation and its position. All events between `previous_end` and `position` are lost."""

    previous_end: int
    position: int
    at: datetime

    @classmethod
    def of(cls, position: int, event: LogContinued) -> "Continuation":
        return cls(event.previous_end, position, event.timestamp)


class ContinuationSummary(NamedTuple):
    """`times`: how often the log was continued. `position`: that of the last continuation; `previous_end`: the end of the log before it.
    All three are 0 if the log was never continued.
    """

    times: int
    position: int
    previous_end: int


def loss_of(position: int, continuations: Iterable[Continuation]) -> Continuation | None:
    """The continuation at which this position was lost. None if the position was never lost."""
    return next((one for one in continuations if one.previous_end < position < one.position), None)


def without_gaps(position: int, continuations: Iterable[Continuation]) -> int:
    """The position minus the lost positions before it, which hold no event. It shows how far a reader is."""
    return position - sum(
        min(position, one.position - 1) - one.previous_end for one in continuations if one.previous_end < position
    )


def continued(
    previous_end: int, version: int, *, at: datetime, event_id: str, request_id: str, catalogue_version: int
) -> LogContinued:
    """The event that continues the log. It gets the number `version` in its stream."""
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
