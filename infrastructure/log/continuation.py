"""Continues the log on another server: after a failover, or from a backup.

A standby may lack events that were acknowledged and read, and a backup does lack them. Their positions must not be assigned again: a
reader that has passed them would never see the new events. So the log goes on far beyond them, with an event that records this.
"""

from time import monotonic
from typing import Final, LiteralString, cast

import psycopg
import structlog
from ulid_transform import ulid_now

from domain.catalogue import CATALOGUE
from domain.continued_log import STREAM, Continuation, ContinuationSummary, continued
from domain.events import LogContinued
from infrastructure.log.event_codec import decode, encode
from infrastructure.postgres.connection import AnyConnection
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("continuation")

ANSWERED_WITHIN: Final = 5.0
"""Seconds for an append, or for a whole continuation. A server that has not answered by then counts as lost, so that it does not block all
changes for ever."""

log = structlog.get_logger("continuation")


async def continuations(connection: AnyConnection) -> list[Continuation]:
    """All continuations of the log, in its order."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_QUERIES["continuations"], [STREAM], prepare=False)
        rows = await cursor.fetchall()
    return [Continuation.of(position, cast("LogContinued", decode(*stored))) for position, *stored in rows]


async def continuation_summary(database: Database) -> ContinuationSummary:
    """Raises `Unavailable`."""
    [row] = await database.fetch_in_time(_QUERIES["moved"])
    return ContinuationSummary(*row)


async def continue_where_moved(connection: AnyConnection) -> None:
    """Continue the log if its last writer was another server. For a process that starts, or that has lost its connection."""
    cursor = await connection.execute(_QUERIES["elsewhere"], prepare=False)
    if await cursor.fetchone() == (True,):
        await continue_log(connection)


async def continue_on(database: Database) -> None:
    """Continue the log after the database has refused an append."""
    async with database.connection() as connection:
        with connection.answering_by(monotonic() + ANSWERED_WITHIN):
            await continue_log(connection)


async def continue_log(connection: AnyConnection) -> Continuation | None:
    """Continue the log, in a transaction of its own. Returns None if it goes on where it was, for instance because another process has
    already continued it.
    """
    async with connection.transaction(), psycopg.AsyncClientCursor(connection) as cursor:
        await cursor.execute(_QUERIES["hold"])
        await cursor.execute(_QUERIES["give_up_closing"])
        await cursor.execute(_QUERIES["place"], {"stream": STREAM})
        row = await cursor.fetchone()
        if row is None:
            return None
        previous_end, position, version, at = row
        event = continued(
            previous_end,
            version,
            at=at,
            event_id=ulid_now(),
            request_id=ulid_now(),
            catalogue_version=CATALOGUE.version,
        )
        stored = encode(event)
        await cursor.execute(
            _QUERIES["append"],
            {
                "position": position,
                "stream": stored.originator_id,
                "version": stored.originator_version,
                "topic": stored.topic,
                "state": stored.state,
            },
        )
        await cursor.execute(_QUERIES["move"], {"position": position, "previous_end": previous_end})
    log.critical(
        "the log was continued on another server: events after `previous_end` are lost, if there were any",
        previous_end=previous_end,
        position=position,
    )
    return Continuation.of(position, event)
