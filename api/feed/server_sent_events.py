"""The feed as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Final

from application.feed.feed import Selection, as_json
from application.feed.live_feed import LiveFeed
from application.isolation import Cleared
from domain.errors import MissingScope, Unauthenticated, Unavailable
from projections.cloud_events import TYPES

RECHECK: Final = 5.0
"""Seconds for which a reader is believed to be still allowed to read."""

RETRY: Final = b"retry: 2000\n"
"""Milliseconds after which a reader that was cut off connects again. A line is enough: an empty one behind it would end a block,
which some clients hand out as an event without data."""

HEARTBEAT: Final = b": heartbeat\n"
"""A comment keeps the connection open. It is a line of its own, for the same reason."""

BEYOND_THE_END: Final = b": beyond the end of the log, which is at position %d\n"
"""The same for a reader who has read further than the log goes: after a failover, until the log is continued."""

POSITION: Final = b'id: %d\nevent: position\ndata: {"position":%d}\n\n'
"""Moves a reader past events that are not for it, and never past one that can't be read. A client keeps an id only at the end
of a block, so it comes with data."""

_EVENT_LINES: Final = {kind: f"\nevent: {name}\ndata: ".encode() for kind, name in TYPES.items()}

StillAllowed = Callable[[], Awaitable[object]]
"""Raises `Unauthenticated` or `MissingScope` once the reader isn't any more."""


def encode(recorded: Cleared) -> bytes:
    return b"id: %d%b%b\n\n" % (recorded.position, _EVENT_LINES[type(recorded.event)], as_json(recorded))


@dataclass(frozen=True, slots=True)
class EventStream:
    """`heartbeat` is in seconds: so often a reader hears something, be it only that there is nothing."""

    feed: LiveFeed
    heartbeat: float

    async def of(self, after: int, selection: Selection, still_allowed: StillAllowed) -> AsyncGenerator[bytes, None]:
        """Ends when the reader may no longer read."""
        with self.feed.admitted():
            patience = min(self.heartbeat, RECHECK)
            sent = checked = monotonic()
            beginning = RETRY
            told = after
            async with aclosing(self.feed.follow(after, selection, patience=patience)) as following:
                async for news in following:
                    now = monotonic()
                    if now - checked >= RECHECK:
                        if not await _allowed(still_allowed):
                            return
                        checked = now
                    if news.encoded or beginning or now - sent >= self.heartbeat * 0.99:
                        if news.encoded:
                            rest, told = b"".join(news.encoded), _id_of(news.encoded[-1])
                        elif news.position > told:
                            rest, told = POSITION % (news.position, news.position), news.position
                        else:
                            rest = HEARTBEAT if news.end is None else BEYOND_THE_END % news.end
                        yield beginning + rest
                        beginning, sent = b"", monotonic()


def _id_of(encoded: bytes) -> int:
    return int(encoded[4 : encoded.index(b"\n")])


async def _allowed(still_allowed: StillAllowed) -> bool:
    """A reader of whom it can't be said at the moment isn't: who comes back with a good key goes on where it was."""
    try:
        await still_allowed()
    except (Unauthenticated, MissingScope, Unavailable):
        return False
    return True
