"""The audit log of an organization: found through the audit index, read from the log."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from typing_extensions import override

from application.audit.filter import AuditFilter
from application.audit.log import AuditIndex, EntryPosition, IndexProgress
from application.audit.summary import BEGINNING
from application.log import BrokenStream, Recorded
from domain.errors import Unavailable
from infrastructure.audit import index as audit_index
from infrastructure.log.event_log import read_at
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import ANSWER_WITHIN, ReadDatabase
from infrastructure.postgres.sql import queries
from projections.audit_log import Action

END: Final = datetime(9999, 12, 31, tzinfo=UTC)


def open_database(url: str, *, size: int = 2, connect_within: float = 5.0, answer_within: float = 10.0) -> Database:
    """A small pool of its own: readers of the audit log may wait for each other, but other requests never wait for them.

    PostgreSQL plans for a class of average size. That may be so small that collecting and sorting its entries seems cheapest. Without
    bitmap scans, the only way left is the index that has the entries in order.
    """
    return Database(
        url,
        size=size,
        connect_within=connect_within,
        answer_within=answer_within,
        application="preferences audit",
        options="-c enable_bitmapscan=off",
    )


class PostgresAuditLog(AuditIndex):
    """The primary says how far the index is, which a reader takes as a promise. A standby gives the entries as soon as it has them all.

    `within`: seconds that a standby has to count.
    """

    def __init__(self, database: ReadDatabase, *, within: float = ANSWER_WITHIN) -> None:
        self._database = database
        self._within = within
        self._queries = queries("audit_log")

    @override
    async def newest(
        self, organization: str, wanted: AuditFilter, *, before: EntryPosition | None, limit: int, at_least: int = 0
    ) -> list[Recorded]:
        statement = "newest_of_stream" if wanted.stream else "newest_of_organization"
        parameters = {**_parameters(organization, wanted, before), "limit": limit}

        async def read(connection: Connection) -> list[Recorded]:
            [(reached, positions)] = await connection.rows(self._queries[statement], parameters, prepare=False)
            return await read_indexed(connection, positions, reached or 0, at_least)

        return await self._database.read(read)

    @override
    async def count(self, organization: str, wanted: AuditFilter) -> int:
        parameters = _parameters(organization, wanted, None)
        statement = self._queries["count"]
        [(count,)] = await self._database.read_within(
            self._within, lambda its: its.rows(statement, parameters, prepare=False)
        )
        return int(count)

    @override
    async def at(self, position: int) -> Recorded | None:
        async def is_there(events: list[Recorded], _: Connection) -> bool:
            return bool(events)

        events = await self._database.read(lambda connection: read_at(connection, [position]), enough=is_there)
        return events[0] if events else None

    @override
    async def complete_until(self) -> IndexProgress:
        [(reached, end, now)] = await self._database.primary.fetch_in_time(
            self._queries["progress"], {"follower": audit_index.AuditIndexer.name}, prepare=False
        )
        if not reached:
            return IndexProgress(0, None)
        if reached >= (end or 0):
            return IndexProgress(reached, now)
        # The log may have got longer since. More events can only make this time earlier, never too late.
        [(earliest,)] = await self._database.primary.fetch_in_time(
            self._queries["earliest"], {"reached": reached}, prepare=False
        )
        return IndexProgress(reached, _at_most(now, earliest))


async def read_indexed(connection: Connection, positions: Sequence[int], reached: int, at_least: int) -> list[Recorded]:
    """The events that the index has found. Raises `Unavailable` if it reaches less far than `at_least`."""
    if reached < at_least:
        raise Unavailable(f"the index of the audit log was set back from position {at_least} to {reached}")
    events = await read_at(connection, positions)
    # A page without this event would be too short, and a short page means the last one to the reader.
    if missing := set(positions) - {event.position for event in events}:
        raise BrokenStream(f"the log has no event at position {min(missing)}, where the audit log has an entry")
    return events


def _at_most(now: datetime, earliest: str | None) -> datetime | None:
    """The earlier one. None if no event says its time: then no instant can be promised."""
    try:
        return min(now, datetime.fromisoformat(earliest or ""))
    except ValueError:
        return None


def _parameters(organization: str, wanted: AuditFilter, before: EntryPosition | None) -> dict[str, Any]:
    # `until` becomes a place too: just before all entries of that moment, because positions begin at 1.
    last = min([EntryPosition(wanted.until or END, 0), *([before] if before else [])])
    return {
        "follower": audit_index.AuditIndexer.name,
        "organization": organization,
        "stream": wanted.stream,
        "actions": [wanted.action] if wanted.action else [*Action],
        "actor_kind": wanted.actor_kind,
        "channel": wanted.channel,
        "toggle": wanted.toggle,
        "enabled": wanted.enabled,
        "source": wanted.source,
        "since": wanted.since or BEGINNING,
        "before": last.occurred_at,
        "before_position": last.position,
    }
