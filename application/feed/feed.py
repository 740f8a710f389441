"""The log as a feed: in its order, from a position on, either all events or the selected ones."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import orjson

from application.log import Cleared, Recorded, UnreadableEvent, cleared
from application.vocabulary import unknown
from domain.catalogue import Catalogue
from domain.continued_log import Continuation
from domain.errors import ValidationFailed
from domain.events import CommonEvent, Event, NotificationToggled
from domain.isolation import PLATFORM, Audience
from projections.cloud_events import TYPES, cloud_event_for_orjson

Made = TypeVar("Made")

CHUNK: Final = 500
"""Events read at once. This bounds the memory of a reader, and how long others wait for it (some 5 ms)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are selected. A field that is None doesn't restrict the selection.

    Events of a catalogue and continuations of the log concern all organizations, so they belong to each of them. Only
    `NotificationToggled` has a channel and a toggle, so a selection by one of them selects that kind only.
    """

    organization: str | None = None
    kind: type[Event] | None = None
    channel: str | None = None
    toggle: str | None = None

    @property
    def audience(self) -> Audience:
        """The audience that the selected events must be cleared for: the organization, or the platform."""
        if self.organization is None:
            return PLATFORM
        return Audience.of_organization(self.organization, "the audit log's index, for the feed,")

    def has(self, event: Event) -> bool:
        if self.kind is not None and type(event) is not self.kind:
            return False
        if self.organization is not None and self.organization != _organization(event, self.organization):
            return False
        if self.channel is None and self.toggle is None:
            return True
        return (
            isinstance(event, NotificationToggled)
            and self.channel in (None, event.channel)
            and self.toggle in (None, event.toggle)
        )


def _organization(event: Event, reader: str) -> str | None:
    """The organization that an event belongs to, as a reader of one organization sees it."""
    return reader if isinstance(event, CommonEvent) else event.organization


EVERYTHING: Final = Selection()


_KINDS: Final = {name: kind for kind, name in TYPES.items()}


def select(
    catalogue: Catalogue, organization: str | None, kind: str | None, channel: str | None, toggle: str | None
) -> Selection:
    """`kind` is the public name of the event type. Raises `ValidationFailed` for a selection that the log can't contain: an
    empty answer would hide a misspelt word."""
    details = {"type": "unknown type"} if kind is not None and kind not in _KINDS else {}
    details |= unknown(catalogue, channel, toggle)
    if details:
        raise ValidationFailed(details=details)
    return Selection(organization, None if kind is None else _KINDS[kind], channel, toggle)


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of the log. `events` has every selected event up to `position`; the next piece starts after it. `more`: the log
    had events after `position` at the moment of reading, but perhaps no selected ones.

    Events may be decoded only during iteration. Then the iteration raises `UnreadableEvent`.
    """

    events: Iterable[Recorded]
    position: int
    more: bool


class EventFeed(Protocol):
    """Raises `Unavailable` while the database can't be reached.

    Different servers may answer, of which one may lack the newest events. `at_least` is a position that the log is known to have: a server
    that lacks it does not answer. If no server has it, the log has lost it.
    """

    async def read(self, after: int, limit: int, selection: Selection, *, at_least: int = 0) -> Slice:
        """The next selected events, at most `limit`. If the search takes long, the piece may have fewer events, or none.

        The reader has seen `after`, so the log is known to have that position, too.
        """
        ...

    async def end(self, *, at_least: int = 0) -> int:
        """The last position of the log; 0 while it is empty."""
        ...

    async def shown_end(self, *, at_least: int = 0) -> int:
        """The last position that readers may see: before the end of the log while standbys don't have the last events."""
        ...

    async def continuations(self) -> Sequence[Continuation]:
        """The places where the log was continued on another server, in log order."""
        ...


def as_json(recorded: Cleared) -> bytes:
    """The public form of the event: a CloudEvent as JSON."""
    return orjson.dumps(cloud_event_for_orjson(recorded.position, recorded.event), option=orjson.OPT_UTC_Z)


class Readable(NamedTuple, Generic[Made]):
    """The results made from the events of a piece, up to the first event that can't be read.

    `unreadable` is the error of that event. The next piece starts after `position`; `more` says whether there is one.
    """

    made: list[Made]
    position: int
    more: bool
    unreadable: UnreadableEvent | None = None


def readable(piece: Slice, audience: Audience, make: Callable[[Cleared], Made]) -> Readable[Made]:
    """An unreadable event doesn't hold back the events before it: the piece ends before it, and the next piece begins with it.

    Raises `UnreadableEvent` for a piece that begins with an unreadable event, and `ForeignEvent` for a piece with an event that
    doesn't belong to the audience.
    """
    made: list[Made] = []
    try:
        for recorded in cleared(piece.events, audience):
            made.append(make(recorded))  # noqa: PERF401 - a comprehension would lose what precedes the error
    except UnreadableEvent as error:
        if not made:
            raise
        return Readable(made, error.position - 1, more=True, unreadable=error)
    return Readable(made, piece.position, piece.more)


async def slices(feed: EventFeed, after: int, end: int, selection: Selection) -> AsyncGenerator[Slice, None]:
    """The selected events after one position and up to another one. The log must have reached both.

    The next piece is requested before the current one is decoded, so the database and this process work at the same time.
    """
    coming = asyncio.ensure_future(feed.read(after, CHUNK, selection, at_least=end))
    try:
        while True:
            piece = await coming
            last = not piece.more or piece.position >= end
            if not last:
                coming = asyncio.ensure_future(feed.read(piece.position, CHUNK, selection, at_least=end))
                await asyncio.sleep(0)
            events = piece.events
            if piece.position > max(after, end):
                events = _up_to(end, events)
            yield Slice(events, max(after, end) if last else piece.position, not last)
            if last:
                return
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _up_to(end: int, events: Iterable[Recorded]) -> Iterator[Recorded]:
    try:
        for recorded in events:
            if recorded.position > end:
                return
            yield recorded
    except UnreadableEvent as error:
        # An unreadable event after the end is not part of this range.
        if error.position <= end:
            raise
