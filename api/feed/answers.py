"""The three forms of an answer of the feed: a page, lines, or a stream. An event looks the same in each."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import orjson

from api.feed.server_sent_events import ServerSentEvents, StillAllowed
from api.http.answer import Answer
from api.http.cursors import encode_cursor
from api.http.streamed import Streamed
from api.http.trailer import last_line
from application.feed.feed import EventFeed, Readable, Selection, as_json, readable, slices
from application.log import Cleared
from domain.errors import BeyondTheEnd

PAGE: Final = "application/json"
LINES: Final = "application/x-ndjson"
STREAM: Final = "text/event-stream"

NEXT_AFTER: Final = b"x-next-after"
"""The header that tells a reader of lines the position to go on from. A line can't, because each line is an event."""


@dataclass(frozen=True, slots=True)
class FeedAnswers:
    """`send_within`: seconds within which a reader must take each piece of the answer."""

    feed: EventFeed
    events: ServerSentEvents
    send_within: float

    async def page(self, after: int, limit: int, selection: Selection) -> Answer:
        piece = await self._piece(after, limit, selection, as_json)
        meta = {
            "total": 0,
            "limit": limit,
            "offset": 0,
            "next_cursor": encode_cursor(position=piece.position) if piece.more else None,
            "next_after": piece.position,
        }
        events = b",".join(piece.made)
        return Answer(200, b'{"success":true,"data":[%b],"meta":%b}' % (events, orjson.dumps(meta)))

    async def lines(self, after: int, limit: int | None, selection: Selection, *, trailer: bool) -> Streamed:
        """The events up to the present end of the log; with `limit`, at most that many, as one piece."""
        if limit is not None:
            piece = await self._piece(after, limit, selection, _as_line)
            return self._lines(_once(piece.made), piece.position, trailer=trailer)
        end = await self.feed.shown_end(at_least=after)
        if after > end:
            if after > (last := await self.feed.end(at_least=after)):
                raise BeyondTheEnd(last)
            end = after
        return self._lines(_until(self.feed, after, end, selection), end, trailer=trailer)

    def stream(self, after: int, selection: Selection, still_allowed: StillAllowed) -> Streamed:
        headers = ((b"content-type", STREAM.encode()),)
        chunks = self.events.of(after, selection, still_allowed)
        return Streamed(chunks, headers, send_within=self.send_within, endless=True)

    async def _piece(
        self, after: int, limit: int, selection: Selection, make: Callable[[Cleared], bytes]
    ) -> Readable[bytes]:
        """Raises `BeyondTheEnd`."""
        piece = readable(await self.feed.read(after, limit, selection), selection.audience, make)
        # No event comes after the position. Read the end only now: the log only grows, so it wasn't further before.
        if piece.position == after > 0 and not piece.more and (end := await self.feed.end(at_least=after)) < after:
            raise BeyondTheEnd(end)
        return piece

    def _lines(self, pieces: AsyncGenerator[list[bytes], None], position: int, *, trailer: bool) -> Streamed:
        chunks = _written(pieces, position, trailer=trailer)
        headers = ((b"content-type", LINES.encode()), (NEXT_AFTER, b"%d" % position))
        return Streamed(chunks, headers, send_within=self.send_within)


async def _until(feed: EventFeed, after: int, end: int, selection: Selection) -> AsyncGenerator[list[bytes], None]:
    async with aclosing(slices(feed, after, end, selection)) as pieces:
        async for piece in pieces:
            lines = readable(piece, selection.audience, _as_line)
            yield lines.made
            if lines.unreadable is not None:
                raise lines.unreadable


async def _once(lines: list[bytes]) -> AsyncGenerator[list[bytes], None]:
    yield lines


async def _written(
    pieces: AsyncGenerator[list[bytes], None], next_after: int, *, trailer: bool
) -> AsyncGenerator[bytes, None]:
    count = 0
    async with aclosing(pieces):
        async for lines in pieces:
            count += len(lines)
            yield b"".join(lines)
    if trailer:
        yield last_line(count, next_after=next_after)


def _as_line(recorded: Cleared) -> bytes:
    return as_json(recorded) + b"\n"
