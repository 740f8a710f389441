"""The record of reading, in PostgreSQL."""

from datetime import timedelta

import psycopg
import pytest

from application.audit.reads import ListedReading, Reading
from application.identity import OrganizationReader
from domain.errors import Unavailable
from infrastructure.audit.reads import PostgresAuditReads
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries
from tests.support.events import ADA, NOON
from tests.support.patient_database import patient_database

REQUEST = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
SUPPORT_AS_ADA = OrganizationReader("org_math", "user:user_ada", ADA, "user_staff")
KEY = OrganizationReader("org_math", "api_key:7 (nightly)")


def reading(number: int, reader: OrganizationReader = SUPPORT_AS_ADA) -> Reading:
    at = NOON + timedelta(minutes=number)
    return Reading(f"reading_{number}", at, reader, "audit_log.read", {"resource_stream": str(ADA)}, REQUEST)


@pytest.fixture
async def reads(database_url: str):
    async with patient_database(database_url) as database:
        yield PostgresAuditReads(database)


async def test_the_newest_readings_of_an_organization_come_first_with_how_they_ended(reads) -> None:
    await reads.record(reading(1), 50)
    await reads.record(reading(2, OrganizationReader("org_chess", "api_key:8 (theirs)")), 1)
    for number in (3, 4, 5):
        await reads.begin(reading(number, KEY))
    await reads.end("reading_4", 7, complete=False)
    await reads.end("reading_5", 9, complete=True)
    listed = await reads.list("org_math", limit=10)
    assert [(one.id, one.count, one.outcome) for one in listed] == [
        ("reading_5", 9, "complete"),
        ("reading_4", 7, "aborted"),
        ("reading_3", None, None),
        ("reading_1", 50, "complete"),
    ]
    assert listed[-1] == ListedReading(
        "reading_1",
        NOON + timedelta(minutes=1),
        "user:user_ada",
        "user_staff",
        "audit_log.read",
        {"resource_stream": str(ADA)},
        50,
        "complete",
        REQUEST,
    )
    assert await reads.list("org_math", limit=2) == listed[:2]


async def test_erasing_a_reader_leaves_what_was_read_and_nobody_who_did(reads, database_url: str) -> None:
    await reads.record(reading(1), 50)
    await reads.record(reading(2, KEY), 3)
    with psycopg.connect(database_url) as connection:
        connection.execute(queries("audit_reads")["erase_reader"], {"stream": ADA})
    key, ada = await reads.list("org_math", limit=10)
    assert (ada.reader, ada.impersonator, ada.filter, ada.count) == ("erased", None, {"resource_stream": str(ADA)}, 50)
    assert key.reader == KEY.label


async def test_where_nothing_can_be_recorded_that_is_said(database_url: str) -> None:
    async with Database("postgresql://127.0.0.1:1/nowhere", connect_within=0.1) as database:
        nowhere = PostgresAuditReads(database)
        for recording in (nowhere.record(reading(1), 1), nowhere.begin(reading(1))):
            with pytest.raises(Unavailable):
                await recording
