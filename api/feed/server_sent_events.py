"""The feed as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Final

from application.feed.feed import Selection, as_json
from application.feed.live_feed import LiveFeed
from application.log import Cleared
from domain.errors import MissingScope, Unauthenticated, Unavailable
from projections.cloud_events import TYPES

RECHECK: Final = 5.0
"""Seconds after which the service checks again that a reader is still allowed to read."""

RETRY: Final = b"retry: 2000\n"
"""Milliseconds after which a reader that was cut off connects again.

No empty line follows. It would end a block, and some clients would report that block as an event without data.
"""

HEARTBEAT: Final = b": heartbeat\n"
"""A comment that keeps the connection open. No empty line follows, for the same reason."""

BEYOND_THE_END: Final = b": beyond the end of the log, which is at position %d\n"
"""The heartbeat for a reader whose position is beyond the end of the log. That happens after a failover, until the log is continued."""

POSITION: Final = b'id: %d\nevent: position\ndata: {"position":%d}\n\n'
"""A message that moves a reader past events that are not for it, and never past an event that can't be read.

It has data, because a client stores an id only at the end of a block with data."""

_EVENT_LINES: Final = {kind: f"\nevent: {name}\ndata: ".encode() for kind, name in TYPES.items()}

StillAllowed = Callable[[], Awaitable[object]]
"""Raises `Unauthenticated` or `MissingScope` once the reader is no longer allowed to read."""


def encode(recorded: Cleared) -> bytes:
    return b"id: %d%b%b\n\n" % (recorded.position, _EVENT_LINES[type(recorded.event)], as_json(recorded))


@dataclass(frozen=True, slots=True)
class ServerSentEvents:
    """`heartbeat`: seconds after which a reader gets a message even if there are no new events."""

    feed: LiveFeed
    heartbeat: float

    async def of(self, after: int, selection: Selection, still_allowed: StillAllowed) -> AsyncGenerator[bytes, None]:
        """The stream of messages. It ends when the reader may no longer read."""
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
    """Whether the reader may go on. If that can't be checked now, the answer is no: a reader with a valid key can connect again and
    go on from its position."""
    try:
        await still_allowed()
    except (Unauthenticated, MissingScope, Unavailable):
        return False
    return True
