"""Replaying the log into something that holds events: a file, a folder, a stream of a broker."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from application.feed.feed import EventFeed, Selection, readable, slices
from application.isolation import Cleared
from application.ports import UnreadableEvent
from domain.continued_log import without_gaps

Progress = Callable[[int, int], None]
"""Called with how far it is, and with how far it is to go, in positions that can have had an event."""


class ReplayRefused(Exception):
    """One sentence on why a replay can't go on where it is to go."""


class Destination(Protocol):
    """Whatever is cut off in the middle of a write, opened again it stands at a position up to which it has every event
    once, and behind which it has none."""

    @property
    def position(self) -> int:
        """The position to go on from."""
        ...

    async def write(self, events: Sequence[Cleared], position: int) -> None:
        """Take in these events, which are all that there are up to a position."""
        ...

    async def finish(self) -> None:
        """Make sure that what was taken in outlasts us."""
        ...


class Replayed(NamedTuple):
    """How many events were written by this run, and the position to go on from."""

    events: int
    position: int


async def replay(feed: EventFeed, selection: Selection, destination: Destination, progress: Progress) -> Replayed:
    """Bring the destination up to where the log ends now; or up to an event that can't be read, which is then raised as
    `UnreadableEvent`. Raises `ReplayRefused` for a destination that has got further than the log."""
    end = await feed.end()
    begin = position = destination.position
    if begin > end:
        raise ReplayRefused(
            f"what was replayed stands at position {begin}, and the log ends at position {end}: it has lost its end, "
            "or is another one"
        )
    continuations = await feed.continuations()
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
