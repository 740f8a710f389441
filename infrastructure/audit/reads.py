"""The record of who read the audit log, in PostgreSQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from typing_extensions import override

from application.audit.reads import AuditReads, Reading
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries


@dataclass(frozen=True, slots=True)
class ListedReading:
    """`outcome` is `complete` or `aborted`. It is None if it is unknown how, or whether, the reading ended."""

    id: str
    at: datetime
    reader: str
    impersonator: str | None
    action: str
    filter: dict[str, Any]
    count: int | None
    outcome: str | None
    request_id: str


class PostgresAuditReads(AuditReads):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("audit_reads")

    @override
    async def record(self, reading: Reading, count: int) -> None:
        await self._record(reading, count, "complete")

    @override
    async def begin(self, reading: Reading) -> None:
        await self._record(reading, None, None)

    @override
    async def end(self, reading_id: str, count: int, *, complete: bool) -> None:
        outcome = "complete" if complete else "aborted"
        await self._database.execute(self._queries["end"], {"id": reading_id, "count": count, "outcome": outcome})

    async def list(self, organization: str | None, *, limit: int) -> list[ListedReading]:
        """The readings in one organization, or those without an organization, newest first."""
        rows = await self._database.fetch(self._queries["list"], {"organization": organization, "limit": limit})
        return [ListedReading(*row) for row in rows]

    async def _record(self, reading: Reading, count: int | None, outcome: str | None) -> None:
        reader = reading.reader
        await self._database.execute(
            self._queries["record"],
            {
                "id": reading.id,
                "at": reading.at,
                "organization": reader.organization,
                "reader": reader.label,
                "impersonator": reader.impersonator,
                "reader_stream": reader.stream,
                "action": reading.action,
                "filter": orjson.dumps(reading.filter).decode(),
                "count": count,
                "outcome": outcome,
                "request_id": reading.request_id,
            },
        )
