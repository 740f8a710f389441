"""Isolation as a law: what is answered to a reader was cleared for that reader, event by event, on the way out.

The rule itself is `domain/isolation.py`. Indexes, caches and stored rows may be wrong; what an event says of itself decides.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from application.ports import Recorded
from domain.isolation import Audience, Shown


class Cleared(NamedTuple):
    """An event at its position, which its reader may see. Only `cleared` gives one."""

    position: int
    event: Shown


def cleared(events: Iterable[Recorded], audience: Audience) -> Iterable[Cleared]:
    """The same objects, so that nothing is made anew for each event of the log. To go through them raises `ForeignEvent`."""
    shown = cast("Iterable[Cleared]", events)
    return shown if audience.all_of_them else _one_by_one(shown, audience)


def _one_by_one(events: Iterable[Cleared], audience: Audience) -> Iterator[Cleared]:
    clear = audience.clear
    for one in events:
        clear(one.event, one.position)
        yield one
