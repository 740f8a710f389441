"""The feed as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Final

from application.feed import Selection, as_json
from application.isolation import Cleared
from application.live_feed import LiveFeed, News
from domain.errors import MissingScope, Unauthenticated, Unavailable
from projections.cloud_events import TYPES

RECHECK: Final = 5.0
"""Seconds for which a reader is believed to be still allowed to read."""

RETRY: Final = b"retry: 2000\n\n"
"""Milliseconds after which a reader that was cut off connects again."""

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
            async with aclosing(self.feed.follow(after, selection, patience=patience)) as following:
                async for news in following:
                    now = monotonic()
                    if now - checked >= RECHECK:
                        if not await _allowed(still_allowed):
                            return
                        checked = now
                    if news.encoded or beginning or now - sent >= self.heartbeat * 0.99:
                        # The comment keeps the connection open. The id moves a reader on for whom nothing was.
                        rest = b"".join(news.encoded) or _heartbeat(news)
                        yield beginning + rest
                        beginning, sent = b"", monotonic()


def _heartbeat(news: News) -> bytes:
    said = b"heartbeat" if news.end is None else b"beyond the end of the log, which is at position %d" % news.end
    return b": %b\nid: %d\n\n" % (said, news.position)


async def _allowed(still_allowed: StillAllowed) -> bool:
    """A reader of whom it can't be said at the moment isn't: who comes back with a good key goes on where it was."""
    try:
        await still_allowed()
    except (Unauthenticated, MissingScope, Unavailable):
        return False
    return True
