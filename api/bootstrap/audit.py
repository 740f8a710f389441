"""The audit log and the record of reading, as they are really kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from ulid_transform import ulid_now

from application.audit_log import AuditIndex, AuditLog
from application.audit_reads import Readings
from infrastructure.audit_log import PostgresAuditLog, open_database
from infrastructure.audit_reads import PostgresAuditReads
from infrastructure.database import Database


def make_readings(database: Database, clock: Callable[[], datetime]) -> Readings:
    return Readings(PostgresAuditReads(database), iter(ulid_now, None), clock)


def make_audit_log(database: Database, readings: Readings) -> AuditLog:
    return AuditLog(PostgresAuditLog(database), readings)


@dataclass(frozen=True, slots=True)
class OpenedAudit:
    """What commands need: the log, how much of it there is, and who read it."""

    log: AuditLog
    index: AuditIndex
    reads: PostgresAuditReads


@asynccontextmanager
async def open_audit(url: str, clock: Callable[[], datetime]) -> AsyncIterator[OpenedAudit]:
    # Patience for a count: an operator's export may be of any size.
    async with open_database(url, size=1, answer_within=600) as database:
        audit_log = make_audit_log(database, make_readings(database, clock))
        try:
            yield OpenedAudit(audit_log, PostgresAuditLog(database), PostgresAuditReads(database))
        finally:
            await audit_log.close()
