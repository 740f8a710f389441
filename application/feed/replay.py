"""Replaying the log into a destination: a file, a folder, or a stream of a broker."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from application.feed.feed import EventFeed, Selection, readable, slices
from application.log import Cleared, UnreadableEvent
from application.progress import Progress
from domain.continued_log import without_gaps


class ReplayRefused(Exception):
    """One sentence on why a replay can't go on in its destination."""


class Destination(Protocol):
    """If a write is cut off in the middle, the destination recovers when it is opened again: it then has every event up to its
    `position` exactly once, and no event after it."""

    @property
    def position(self) -> int:
        """The position to go on from."""
        ...

    async def write(self, events: Sequence[Cleared], position: int) -> None:
        """Write these events. They are all selected events from the destination's position up to `position`."""
        ...

    async def finish(self) -> None:
        """Make the written events durable."""
        ...


class Replayed(NamedTuple):
    """How many events this run wrote, and the position to go on from."""

    events: int
    position: int


async def replay(feed: EventFeed, selection: Selection, destination: Destination, progress: Progress) -> Replayed:
    """Bring the destination up to the present end of the log, as far as it may be shown.

    `progress` is called with the present and the final position, both without the gaps that continuations made.

    Raises `UnreadableEvent` for an event that can't be read; the destination then has all events before it. Raises
    `ReplayRefused` for a destination that is further than the log.
    """
    begin = position = destination.position
    shown, end = await feed.shown_end(at_least=begin), await feed.end(at_least=begin)
    if begin > end:
        raise ReplayRefused(
            f"what was replayed stands at position {begin}, and the log ends at position {end}: it has lost its end, "
            "or is another one"
        )
    continuations = await feed.continuations()
    end = max(begin, shown)
    events = 0
    try:
        async with aclosing(slices(feed, begin, end, selection)) as pieces:
            async for piece in pieces:
                written = readable(piece, selection.audience, lambda recorded: recorded)
                await destination.write(written.made, written.position)
                events += len(written.made)
                position = written.position
                progress(without_gaps(position, continuations), without_gaps(end, continuations))
                if written.unreadable is not None:
                    raise written.unreadable
    except UnreadableEvent:
        await destination.finish()
        raise
    await destination.finish()
    return Replayed(events, position)
