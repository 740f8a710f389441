"""Wires the audit log and the record of reading."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
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
from infrastructure.postgres.read_database import CaughtUp, ReadDatabase, Replica

OPERATOR: Final = "operator"
"""The name of a reader at the command line. Only the machine that runs the command knows which person that is."""

COUNT_WITHIN: Final = 600.0
"""Seconds that a command may take to count the entries of an export."""


def make_readings(database: Database, clock: DatabaseClock) -> Readings:
    """The ids of the readings are ULIDs by this clock. They begin with the time, and readings are listed in that order."""
    return Readings(PostgresAuditReads(database), iter(clock.ulid, None), clock)


def make_audit_log(database: ReadDatabase, readings: Readings) -> AuditLog:
    return AuditLog(PostgresAuditLog(database), readings)


def make_audit_summary(database: ReadDatabase, readings: Readings, clock: DatabaseClock) -> AuditSummary:
    return AuditSummary(PostgresDailyIndex(database, PostgresAuditLog(database)), readings, clock)


@dataclass(frozen=True, slots=True)
class OpenedAudit:
    """The parts that commands need: the audit log, its index, which counts entries, and the record of reading."""

    log: AuditLog
    index: AuditIndex
    reads: PostgresAuditReads


@asynccontextmanager
async def open_audit(url: str, standby: str | None = None) -> AsyncIterator[OpenedAudit]:
    """`standby` is the URL of a standby that has all that the primary has now, if there is one."""
    # Counting may take long, because an operator's export may be of any size.
    open_one = partial(open_database, size=1, answer_within=COUNT_WITHIN)
    reads = ReadDatabase(open_one(url), None if standby is None else Replica(open_one(standby), CaughtUp()))
    async with reads.opened():
        audit_log = make_audit_log(reads, make_readings(reads.primary, await clock_of(reads.primary)))
        try:
            yield OpenedAudit(
                audit_log, PostgresAuditLog(reads, within=COUNT_WITHIN), PostgresAuditReads(reads.primary)
            )
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
