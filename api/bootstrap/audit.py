"""Wires the audit log and the record of reading."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from ulid_transform import ulid_now

from api.bootstrap.clock import clock_of
from application.audit.log import AuditIndex, AuditLog
from application.audit.reads import Readings
from application.audit.summary import AuditSummary
from application.identity import Reader
from infrastructure.audit.log import PostgresAuditLog, open_database
from infrastructure.audit.reads import PostgresAuditReads
from infrastructure.audit.summary import PostgresDailyIndex
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import DatabaseClock

OPERATOR: Final = "operator"
"""The name of a reader at the command line. Only the machine that runs the command knows which person that is."""


def make_readings(database: Database, clock: DatabaseClock) -> Readings:
    """The ids of the readings are ULIDs by this clock. They begin with the time, and readings are listed in that order."""
    return Readings(PostgresAuditReads(database), iter(clock.ulid, None), clock)


def make_audit_log(database: Database, readings: Readings) -> AuditLog:
    return AuditLog(PostgresAuditLog(database), readings)


def make_audit_summary(database: Database, readings: Readings, clock: DatabaseClock) -> AuditSummary:
    return AuditSummary(PostgresDailyIndex(database, PostgresAuditLog(database)), readings, clock)


@dataclass(frozen=True, slots=True)
class OpenedAudit:
    """The parts that commands need: the audit log, its index, which counts entries, and the record of reading."""

    log: AuditLog
    index: AuditIndex
    reads: PostgresAuditReads


@asynccontextmanager
async def open_audit(url: str) -> AsyncIterator[OpenedAudit]:
    # Counting may take long, because an operator's export may be of any size.
    async with open_database(url, size=1, answer_within=600) as database:
        audit_log = make_audit_log(database, make_readings(database, await clock_of(database)))
        try:
            yield OpenedAudit(audit_log, PostgresAuditLog(database), PostgresAuditReads(database))
        finally:
            await audit_log.close()


async def record_reading(
    url: str, organization: str | None, action: str, asked: Mapping[str, Any], *, count: int
) -> None:
    """Record that the operator reads, before `count` entries are shown. Values of `asked` that are None are left out.

    Raises `Unavailable`; then nothing may be shown.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    async with open_database(url, size=1) as database:
        readings = make_readings(database, await clock_of(database))
        await readings.record(Reader(organization, OPERATOR), action, given, count=count, request_id=ulid_now())
