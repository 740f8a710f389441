"""The audit log and the record of reading, as they are really kept."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from ulid_transform import ulid_now

from api.bootstrap.clock import clock_of
from application.audit.log import AuditIndex, AuditLog
from application.audit.reads import Readings
from application.identity import Reader
from infrastructure.audit.log import PostgresAuditLog, open_database
from infrastructure.audit.reads import PostgresAuditReads
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import DatabaseClock

OPERATOR: Final = "operator"
"""Who reads from the command line. Which person that is, the machine knows that the command runs on."""


def make_readings(database: Database, clock: DatabaseClock) -> Readings:
    """Their ids begin with the time, by which they are listed."""
    return Readings(PostgresAuditReads(database), iter(clock.ulid, None), clock)


def make_audit_log(database: Database, readings: Readings) -> AuditLog:
    return AuditLog(PostgresAuditLog(database), readings)


@dataclass(frozen=True, slots=True)
class OpenedAudit:
    """What commands need: the log, how much of it there is, and who read it."""

    log: AuditLog
    index: AuditIndex
    reads: PostgresAuditReads


@asynccontextmanager
async def open_audit(url: str) -> AsyncIterator[OpenedAudit]:
    # Patience for a count: an operator's export may be of any size.
    async with open_database(url, size=1, answer_within=600) as database:
        audit_log = make_audit_log(database, make_readings(database, await clock_of(database)))
        try:
            yield OpenedAudit(audit_log, PostgresAuditLog(database), PostgresAuditReads(database))
        finally:
            await audit_log.close()


async def record_reading(
    url: str, organization: str | None, action: str, asked: Mapping[str, Any], *, count: int
) -> None:
    """By the operator, before so many entries are shown; what is None wasn't asked. Raises `Unavailable`: then they must not be."""
    given = {name: value for name, value in asked.items() if value is not None}
    async with open_database(url, size=1) as database:
        readings = make_readings(database, await clock_of(database))
        await readings.record(Reader(organization, OPERATOR), action, given, count=count, request_id=ulid_now())
