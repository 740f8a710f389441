"""A partition that gets no more events is moved to another disk, while it is read."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.log.partitions import CannotPartition, move_partition
from infrastructure.postgres import schema, table_changes
from tests.support.events import ADA
from tests.support.eventually import until
from tests.support.ledger import record
from tests.support.partitioned import insert, one_table
from tests.support.positions import log_of

pytestmark = one_table


@pytest.fixture
def cold(postgres: EmbeddedPostgres, administration: psycopg.Connection, database_url: str) -> Iterator[str]:
    """A tablespace of this test's own."""
    [(data,)] = administration.execute("SELECT current_setting('data_directory')").fetchall()
    name = f"cold_{uuid4().hex}"
    folder = Path(data).parent / name
    folder.mkdir()
    shutil.chown(folder, Path(data).owner(), Path(data).group())
    administration.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
    yield name
    administration.execute(f"DROP DATABASE {conninfo_to_dict(database_url)['dbname']} WITH (FORCE)")
    administration.execute(f"DROP TABLESPACE {name}")


async def test_a_partition_that_gets_no_more_events_is_moved_while_it_is_read(two: str, cold: str) -> None:
    # Given a log that has gone on in its second partition
    await record(two, 4)
    before = log_of(two)
    with psycopg.connect(two, autocommit=True) as reader:
        # when the first one is moved, then its events are where they were in the log,
        found = move_partition(two, "preferences_events_1", cold)
        assert reader.execute("SELECT count(*) FROM preferences_events").fetchone() == (len(before),)
        spaces = reader.execute(
            "SELECT DISTINCT spcname FROM pg_class LEFT JOIN pg_tablespace t ON t.oid = reltablespace "
            "WHERE pg_class.oid = 'preferences_events_1'::regclass OR pg_class.oid IN "
            "(SELECT indexrelid FROM pg_index WHERE indrelid = 'preferences_events_1'::regclass)"
        )
        # and on the other disk, indexes included.
        assert spaces.fetchall() == [(cold,)]
    assert [(one.table, one.end, one.tablespace) for one in found] == [
        ("preferences_events_1", 4, cold),
        ("preferences_events_2", None, "pg_default"),
    ]
    assert log_of(two) == before
    assert schema.differences(two) == []
    with pytest.raises(errors.UniqueViolation):
        insert(two, (ADA, 2))


async def test_an_older_transaction_finds_the_events_of_a_partition_that_was_moved(two: str, cold: str) -> None:
    await record(two, 4)
    with psycopg.connect(two) as older, ThreadPoolExecutor() as thread:
        # Given a transaction that has its moment, and has not read the log yet
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT FROM followers")
        moving = thread.submit(move_partition, two, "preferences_events_1", cold)
        until(lambda: copied(two))
        await asyncio.sleep(1)
        # when the partition is moved meanwhile, then the transaction reads all of the log,
        assert older.execute("SELECT count(*) FROM preferences_events").fetchone() == (6,)
        assert not moving.done()
        older.commit()
        # and the partition is moved when it has ended.
        assert await asyncio.to_thread(moving.result, 30)
    assert len(log_of(two)) == 6


def copied(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT to_regclass('preferences_events_moving') IS NOT NULL").fetchone() == (True,)


def test_what_was_copied_is_dropped_if_the_partition_is_held(two: str, cold: str, monkeypatch) -> None:
    monkeypatch.setattr(table_changes, "ATTEMPTS", 1)
    asyncio.run(record(two, 4))
    with psycopg.connect(two) as dump:
        dump.execute("SELECT FROM preferences_events")
        with pytest.raises(CannotPartition, match="other sessions held"):
            move_partition(two, "preferences_events_1", cold)
    assert not copied(two)


def test_a_partition_that_still_gets_events_is_not_moved(two: str) -> None:
    for table in ("preferences_events_1", "preferences_events_2"):
        with pytest.raises(CannotPartition, match=f"{table} still gets events"):
            move_partition(two, table, "pg_default")
    with pytest.raises(CannotPartition, match="the log has no table followers"):
        move_partition(two, "followers", "pg_default")
