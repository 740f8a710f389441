"""Replaying the log into something that holds events: a file, a folder, a stream of a broker."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from application.feed import EventFeed, Selection, readable, slices
from application.isolation import Cleared
from application.ports import UnreadableEvent

Progress = Callable[[int, int], None]
"""Called with the position reached, and the last one."""


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
    `UnreadableEvent`."""
    end = await feed.end()
    begin = position = destination.position
    events = 0
    try:
        async with aclosing(slices(feed, begin, end, selection)) as pieces:
            async for piece in pieces:
                written = readable(piece, selection.audience, lambda recorded: recorded)
                await destination.write(written.made, written.position)
                events += len(written.made)
                position = written.position
                progress(position, max(end, begin))
                if written.unreadable is not None:
                    raise written.unreadable
    except UnreadableEvent:
        await destination.finish()
        raise
    await destination.finish()
    return Replayed(events, position)
