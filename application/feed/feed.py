"""The log as a feed: in its order, from a position on, all of it or what was selected."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import orjson

from application.isolation import Cleared, cleared
from application.ports import Recorded, UnreadableEvent
from domain.catalogue import Catalogue
from domain.continued_log import Continuation
from domain.errors import ValidationFailed
from domain.events import CommonEvent, Event, NotificationToggled
from domain.isolation import PLATFORM, Audience
from projections.cloud_events import TYPES, unwritten_cloud_event

Made = TypeVar("Made")

CHUNK: Final = 500
"""Events read at once: what bounds the memory of a reader, and how long others wait for it (some 5 ms)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events; what is None doesn't matter.

    A catalogue and a continuation of the log concern all, so their events belong to every organization. A channel and a toggle are chosen in one kind
    of event only, and who selects by them selects that kind.
    """

    organization: str | None = None
    kind: type[Event] | None = None
    channel: str | None = None
    toggle: str | None = None

    @property
    def audience(self) -> Audience:
        """Whom the selected events are answered to: the organization whose they have to be, or the platform."""
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
    """The one that an event belongs to, for a reader of one organization."""
    return reader if isinstance(event, CommonEvent) else event.organization


EVERYTHING: Final = Selection()


_KINDS: Final = {name: kind for kind, name in TYPES.items()}


def select(
    catalogue: Catalogue, organization: str | None, kind: str | None, channel: str | None, toggle: str | None
) -> Selection:
    """`kind` is what outsiders call the type. Raises `ValidationFailed` for what the log can't have: to find nothing would
    hide that a word is misspelt."""
    details = {}
    if kind is not None and kind not in _KINDS:
        details["type"] = "unknown type"
    channels = [known for known in catalogue.channels if channel in (None, known.name)]
    if not channels:
        details["channel"] = "unknown channel"
    elif toggle is not None and not any(toggle == known.name for one in channels for known in one.visible):
        details["toggle"] = "unknown toggle"
    if details:
        raise ValidationFailed(details=details)
    return Selection(organization, None if kind is None else _KINDS[kind], channel, toggle)


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of the log. `position` is the one to go on from: what is selected up to there is in `events`, whatever
    was left out. `more`: the log went on behind it at that moment, though maybe with nothing that is selected.

    Events may be decoded only while one goes through them, which raises `UnreadableEvent` then.
    """

    events: Iterable[Recorded]
    position: int
    more: bool


class EventFeed(Protocol):
    """Raises `Unavailable` while the database can't be reached."""

    async def read(self, after: int, limit: int, selection: Selection) -> Slice:
        """The next selected events, at most `limit`. A piece that took long to search may have fewer, or none."""
        ...

    async def end(self) -> int:
        """The last position of the log; 0 while it is empty."""
        ...

    async def continuations(self) -> Sequence[Continuation]:
        """Where the log went on upon another server, in its order."""
        ...


def as_json(recorded: Cleared) -> bytes:
    """The event as everybody outside sees it: a CloudEvent, in its JSON form."""
    return orjson.dumps(unwritten_cloud_event(recorded.position, recorded.event), option=orjson.OPT_UTC_Z)


class Readable(NamedTuple, Generic[Made]):
    """What was made of a piece's events, up to the first one that can't be read, which is then `unreadable`; the position to go
    on from, and whether there is more."""

    made: list[Made]
    position: int
    more: bool
    unreadable: UnreadableEvent | None = None


def readable(piece: Slice, audience: Audience, make: Callable[[Cleared], Made]) -> Readable[Made]:
    """What can be read is never held back by what can't: a piece ends before such an event, and the next one begins with it.
    Raises `UnreadableEvent` for a piece that does, and `ForeignEvent` for one that has an event which isn't its audience's."""
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
    """What is selected after one position and up to another one, which the log has reached already.

    The next piece is asked for before this one is decoded and worked on, so that the database and we work at once.
    """
    coming = asyncio.ensure_future(feed.read(after, CHUNK, selection))
    try:
        while True:
            piece = await coming
            last = not piece.more or piece.position >= end
            if not last:
                coming = asyncio.ensure_future(feed.read(piece.position, CHUNK, selection))
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
        # One behind the end is somebody else's.
        if error.position <= end:
            raise
