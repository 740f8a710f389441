"""The log as the use cases read it. Each event has its position, and is cleared for its reader before the reader gets it.

`domain/isolation.py` has the rule of isolation. It looks only at the event itself, because indexes, caches and stored rows
may be wrong.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from typing_extensions import override

from domain.events import Event
from domain.isolation import Audience, Shown


class Recorded(NamedTuple):
    """An event and its position in the log. Positions order events and don't count them, because there are gaps."""

    position: int
    event: Event


class Replication(NamedTuple):
    """What synchronous standbys have confirmed. A commit waits for `wanted` of them, and `standbys` are connected. `unconfirmed_bytes` is the
    part of the database's WAL that too few of them have; None if too few are connected.
    """

    standbys: int
    wanted: int
    unconfirmed_bytes: int | None


class UnreadableEvent(Exception):
    """A stored event that this release can't read. A reader stops there; it never skips the event.

    `position` is 0 until the code that reads the log sets it.
    """

    position = 0

    @override
    def __str__(self) -> str:
        what = super().__str__()
        return f"the event at position {self.position} can't be read: {what}" if self.position else what


class BrokenStream(Exception):
    """A stream has a gap, so the log is not whole. Nothing that is made from it can be trusted."""


class Cleared(NamedTuple):
    """An event that its reader may see, and its position. Only `cleared` returns one."""

    position: int
    event: Shown


def cleared(events: Iterable[Recorded], audience: Audience) -> Iterable[Cleared]:
    """The events, cleared for the audience. The iteration raises `ForeignEvent`.

    They are the same objects as before, which saves making a new one for each event.
    """
    shown = cast("Iterable[Cleared]", events)
    return shown if audience.all_of_them else _one_by_one(shown, audience)


def _one_by_one(events: Iterable[Cleared], audience: Audience) -> Iterator[Cleared]:
    clear = audience.clear
    for one in events:
        clear(one.event, one.position)
        yield one
