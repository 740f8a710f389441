"""The audit log of an organization, found by its index and read from the log."""

from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from application.audit_log import AuditFilter, AuditIndex, Place
from application.ports import Recorded
from infrastructure import audit_index
from infrastructure.database import Database
from infrastructure.event_log import read_at
from infrastructure.sql import queries
from projections.audit_log import Action

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 12, 31, tzinfo=UTC)


class PostgresAuditLog(AuditIndex):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("audit_log")

    @override
    async def newest(
        self, organization: str, wanted: AuditFilter, *, before: Place | None, limit: int
    ) -> list[Recorded]:
        # `until` is a place, too: the one before all entries of that moment, since positions begin at 1.
        places = [Place(wanted.until or END, 0), *([before] if before else [])]
        statement = "newest_of_stream" if wanted.stream else "newest_of_organization"
        parameters = {
            "organization": organization,
            "stream": wanted.stream,
            "actions": [wanted.action] if wanted.action else [*Action],
            "actor_kind": wanted.actor_kind,
            "channel": wanted.channel,
            "toggle": wanted.toggle,
            "enabled": wanted.enabled,
            "source": wanted.source,
            "since": wanted.since or BEGINNING,
            "before": min(places).occurred_at,
            "before_position": min(places).position,
            "limit": limit,
        }
        async with self._database.connection() as connection:
            found = await connection.execute(self._queries[statement], parameters, prepare=False)
            return await read_at(connection, [position for (position,) in await found.fetchall()])

    @override
    async def at(self, position: int) -> Recorded | None:
        async with self._database.connection() as connection:
            events = await read_at(connection, [position])
        return events[0] if events else None

    @override
    async def complete_until(self) -> datetime | None:
        rows = await self._database.fetch_in_time(self._queries["progress"], {"follower": audit_index.AuditIndex.name})
        reached, end, now = rows[0]
        if not reached:
            return None
        if reached >= (end or 0):
            moment: datetime = now
            return moment
        recorded = await self.at(reached)
        return recorded.event.timestamp if recorded else None
