"""The record of who read the audit log, in PostgreSQL."""

from collections.abc import Sequence

import orjson
from typing_extensions import override

from application.audit.reads import AuditReads, ListedReading, Reading
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries


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

    @override
    async def list(self, organization: str | None, *, limit: int, before: str | None = None) -> Sequence[ListedReading]:
        asked = {"organization": organization, "limit": limit, "before": before}
        return [ListedReading(*row) for row in await self._database.fetch(self._queries["list"], asked)]

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
