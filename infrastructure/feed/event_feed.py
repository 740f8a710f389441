"""Reads the feed from PostgreSQL."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, LiteralString
from uuid import UUID

from typing_extensions import override

from application.feed.feed import CHUNK, EVERYTHING, EventFeed, Selection, Slice
from application.log import BrokenStream, Recorded, UnreadableEvent
from domain import continued_log, published_catalogues
from domain.continued_log import Continuation
from domain.events import (
    CataloguePublished,
    Event,
    LogContinued,
    NotificationToggled,
    PreferencesErased,
    PreferencesOpened,
)
from infrastructure.audit.index import AuditIndexer
from infrastructure.log import event_log
from infrastructure.log.continuation import continuations
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.postgres.sql import queries
from projections.audit_log import OPEN, Action

SEARCHED: Final = 20_000
"""The most events that are searched for one piece of the feed. This takes a few tenths of a second."""

READ_WITHIN: Final = 15.0
"""Seconds for one piece of the feed, with the time that its reader waits for a connection."""

_QUERIES: Final[dict[str, LiteralString]] = queries("event_feed")

_ACTIONS: Final[dict[type[Event], str]] = {
    PreferencesOpened: OPEN,
    NotificationToggled: Action.TOGGLE,
    PreferencesErased: Action.ERASE,
}
"""The audit index's names for the kinds of events."""

_COMMON: Final[dict[type[Event], UUID]] = {
    CataloguePublished: published_catalogues.STREAM,
    LogContinued: continued_log.STREAM,
}
"""The streams of the kinds that are in no index, because they concern all organizations."""


class PostgresEventFeed(EventFeed):
    """Reads from a pool of its own: readers of the whole log must not take connections from requests that change something.

    A piece that takes longer than `within` seconds is given up, together with its connection. Otherwise a few pieces that never arrive
    would block the whole pool.
    """

    def __init__(self, database: ReadDatabase, *, within: float = READ_WITHIN) -> None:
        self._database = database
        self._within = within

    @override
    async def read(self, after: int, limit: int, selection: Selection, *, at_least: int = 0) -> Slice:
        async def read(connection: Connection) -> Slice:
            if selection.organization is None:
                return await _search(connection, after, limit, selection)
            return await _of_organization(connection, after, limit, selection)

        async def has_what_is_known(piece: Slice, connection: Connection) -> bool:
            # Where a piece says that nothing comes after it, the server's log ends there: `at_least` must not come later.
            if piece.more or piece.position > max(after, at_least - 1):
                return True
            return piece.position >= at_least and await event_log.end_of_log(connection) >= after

        return await self._database.read_within(self._within, read, enough=has_what_is_known)

    @override
    async def end(self, *, at_least: int = 0) -> int:
        async def has_it(end: int, _: Connection) -> bool:
            return end >= at_least

        return await self._database.read_within(self._within, event_log.end_of_log, enough=has_it)

    @override
    async def continuations(self) -> list[Continuation]:
        return await self._database.read_within(self._within, continuations)


async def _of_organization(connection: Connection, after: int, limit: int, selection: Selection) -> Slice:
    """Reads through the audit index up to the index's position, and from there searches the log.

    So an organization does not pay for the events of others, and sees its own events before they are in the index.
    """
    by_choice = selection.channel is not None or selection.toggle is not None
    kinds = [NotificationToggled] if by_choice else [*_ACTIONS, *_COMMON]
    wanted = [kind for kind in kinds if selection.kind in (None, kind)]
    parameters = {
        "follower": AuditIndexer.name,
        "organization": selection.organization,
        "actions": [_ACTIONS[kind] for kind in wanted if kind in _ACTIONS],
        "channel": selection.channel,
        "toggle": selection.toggle,
        "common": [_COMMON[kind] for kind in wanted if kind in _COMMON],
        "after": after,
        "limit": limit + 1,
    }
    rows = await (await connection.execute(_QUERIES["of_organization"], parameters, prepare=False)).fetchall()
    positions: list[int] = [position for _, position in rows if position is not None]
    for position, following in pairwise(positions):
        if position == following:
            raise BrokenStream(f"the audit log's index has position {position} twice")
    events, unreadable = await _readable_at(connection, positions[:limit])
    if unreadable is not None:
        return Slice(events, unreadable - 1, more=True)
    if len(positions) > limit:
        return Slice(events, positions[limit - 1], more=True)
    reached = max(after, rows[0][0] if rows else 0)
    try:
        rest = await _search(connection, reached, limit - len(events), selection)
    except UnreadableEvent:
        if reached == after:
            raise
        return Slice(events, reached, more=True)
    return Slice([*events, *rest.events], rest.position, rest.more)


async def _readable_at(connection: Connection, positions: Sequence[int]) -> tuple[list[Recorded], int | None]:
    """The events at these positions, which are in rising order, and the position of the first unreadable one. Raises `UnreadableEvent` if
    no readable event precedes it.
    """
    unreadable = None
    while True:
        try:
            return await event_log.read_at(connection, positions), unreadable
        except UnreadableEvent as error:
            # The events are read in any order, so this may not be the first unreadable one. Read again, up to this position.
            unreadable = error.position
            positions = [position for position in positions if position < unreadable]
            if not positions:
                raise


async def _search(connection: Connection, after: int, limit: int, selection: Selection) -> Slice:
    """Searches the log itself for the selected events."""
    if selection == EVERYTHING:
        return Slice(*await event_log.fetch_after(connection, after, limit))
    found: list[Recorded] = []
    position = after
    for _ in range(0, SEARCHED, CHUNK):
        looked_at = await event_log.fetch_after(connection, position, CHUNK)
        try:
            for recorded in looked_at.events:
                if len(found) == limit:
                    return Slice(found, position, more=True)
                position = recorded.position
                if selection.has(recorded.event):
                    found.append(recorded)
        except UnreadableEvent:
            if position == after:
                raise
            return Slice(found, position, more=True)
        if not looked_at.more:
            return Slice(found, position, more=False)
    return Slice(found, position, more=True)
