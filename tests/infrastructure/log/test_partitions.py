"""A log in partitions is the same log: its promises hold across their bounds, and nothing but time limits where they lie."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from domain.errors import Unavailable
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.log import partitions as log_partitions
from infrastructure.log.continuation import continuation_summary
from infrastructure.log.partitions import CannotPartition, add_partition, move_partition, partitions
from infrastructure.postgres import schema, table_changes
from tests.support.events import ADA
from tests.support.eventually import until
from tests.support.ledger import positions, record
from tests.support.library import write_as_library
from tests.support.partitioned import one_table
from tests.support.patient_database import patient_database
from tests.support.positions import execute, log_of, move_elsewhere

pytestmark = one_table

INSERT = "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES "


def insert(url: str, *events: tuple[UUID, int]) -> None:
    """In one statement, as neither the service nor the library does: of these streams and versions."""
    execute(url, INSERT + ", ".join(f"('{stream}', {version}, 'foreign', '{{}}')" for stream, version in events))


def bounds(url: str) -> list[tuple[int | None, int | None]]:
    return [(partition.first, partition.end) for partition in partitions(url)]


def stored_in(url: str) -> list[str]:
    """The table of each event, in the order of the log."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tableoid::regclass::text FROM preferences_events ORDER BY notification_id")
        return [table for (table,) in rows.fetchall()]


@pytest.fixture
async def two(database_url: str) -> str:
    """A log whose first partition has Ada's first two events, and room for one more: the next one begins at position 4."""
    await record(database_url, 2, ADA)
    add_partition(database_url, 2)
    return database_url


async def test_a_log_of_one_table_becomes_the_first_partition_and_the_next_begins_where_it_was_told(
    database_url: str,
) -> None:
    await record(database_url, 5)
    assert bounds(database_url) == [(None, None)]
    assert [(one.table, one.end) for one in add_partition(database_url, 4)] == [
        ("preferences_events_1", 9),
        ("preferences_events_2", None),
    ]
    await record(database_url, 6)
    assert [one.table for one in add_partition(database_url, 1)][2:] == ["preferences_events_3"]
    await record(database_url, 3)
    assert bounds(database_url) == [(None, 9), (9, 12), (12, None)]
    assert positions(database_url) == [*range(1, 15)]
    assert stored_in(database_url) == [f"preferences_events_{n}" for n in [1] * 8 + [2] * 3 + [3] * 3]
    assert schema.differences(database_url) == []
    # The same server wrote it before and after: nothing was continued.
    async with patient_database(database_url) as database:
        assert await continuation_summary(database) == (0, 0, 0)


async def test_the_role_of_the_service_writes_and_reads_on(database_url: str, service_role: str) -> None:
    await record(service_role, 2)
    add_partition(database_url, 1)
    await record(service_role, 4)
    assert positions(service_role) == [1, 2, 3, 4, 5, 6]


# One event for each version of a stream


def test_a_version_that_an_older_partition_has_is_refused(two: str) -> None:
    insert(two, (uuid4(), 1))
    insert(two, (uuid4(), 1))
    for version in (1, 2):
        with pytest.raises(errors.UniqueViolation, match="preferences_events_pkey"):
            insert(two, (ADA, version))
    # and what follows the stream's last event is taken, and then held against that one.
    insert(two, (ADA, 3))
    insert(two, (ADA, 4))
    for version in (3, 4):
        with pytest.raises(errors.UniqueViolation):
            insert(two, (ADA, version))
    assert len(log_of(two)) == 6


def test_without_the_trigger_it_would_be_there_twice(two: str) -> None:
    """The control."""
    execute(two, "DROP TRIGGER one_event_per_version ON preferences_events")
    insert(two, (uuid4(), 1))
    insert(two, (ADA, 2))
    with psycopg.connect(two) as connection:
        found = connection.execute(
            "SELECT count(*) FROM preferences_events WHERE originator_id = %s AND originator_version = 2", [ADA]
        )
        assert found.fetchone() == (2,)
    assert "trigger preferences_events.one_event_per_version is missing" in schema.differences(two)


def test_a_statement_goes_on_in_the_next_partition(two: str) -> None:
    insert(two, (ADA, 3), (ADA, 4))
    assert stored_in(two)[-2:] == ["preferences_events_1", "preferences_events_2"]


@pytest.mark.parametrize("events", [((uuid4(), 1), (ADA, 2)), ((ADA, 3), (ADA, 3)), ((ADA, 2), (ADA, 3))])
def test_such_a_statement_is_held_against_all_partitions(two: str, events) -> None:
    with pytest.raises(errors.UniqueViolation):
        insert(two, *events)


def test_a_version_that_comes_after_a_later_one_is_refused(two: str) -> None:
    """The library's writers take versions one after the other. A gap is theirs to make, but nothing goes into it from another partition."""
    insert(two, (ADA, 9))
    insert(two, (uuid4(), 1))
    with pytest.raises(errors.UniqueViolation):
        insert(two, (ADA, 5))


def test_the_library_writes_on_in_the_next_partition(two: str) -> None:
    insert(two, (uuid4(), 1))
    write_as_library(two)
    assert log_of(two)[-1][1] == "toggled"
    assert stored_in(two)[-1] == "preferences_events_2"


# What stands in the way


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW of_theirs AS SELECT topic FROM preferences_events", "view of_theirs"),
        ("CREATE PUBLICATION of_theirs FOR TABLE preferences_events", "publication of_theirs"),
        ("CREATE PUBLICATION of_all FOR ALL TABLES", "publication of_all without publish_via_partition_root"),
        (
            "CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA public",
            "publication of_schema without publish_via_partition_root",
        ),
        (
            "CREATE TABLE theirs (position bigint REFERENCES preferences_events (notification_id))",
            "foreign key of theirs",
        ),
        ("GRANT SELECT (topic) ON preferences_events TO PUBLIC", "privileges on the column topic"),
        ("CREATE RULE quiet AS ON DELETE TO preferences_events DO INSTEAD NOTHING", "rule quiet"),
        ("CREATE POLICY of_theirs ON preferences_events USING (true)", "policy of_theirs"),
        (
            """CREATE TRIGGER t BEFORE UPDATE ON preferences_events FOR EACH ROW
               EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
            "trigger t",
        ),
    ],
)
def test_what_is_bound_to_the_one_table_is_named_and_nothing_is_changed(database_url, statement, named) -> None:
    execute(database_url, statement)
    with pytest.raises(CannotPartition, match=f"must be dropped first: {named}$"):
        add_partition(database_url, 1)
    assert bounds(database_url) == [(None, None)]


def test_a_partition_that_nothing_was_written_to_is_enough(database_url: str) -> None:
    add_partition(database_url, 10)
    with pytest.raises(CannotPartition, match="preferences_events_2, begins at position 10 and has no event yet"):
        add_partition(database_url, 10)


def test_one_process_at_a_time_changes_the_partitions(database_url: str) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_lock(7305114882908)")
        with pytest.raises(CannotPartition, match="another process is changing the partitions"):
            add_partition(database_url, 1)


def test_a_log_that_others_hold_is_left_as_it_is(database_url: str, monkeypatch) -> None:
    monkeypatch.setattr(table_changes, "ATTEMPTS", 2)
    monkeypatch.setattr(table_changes, "PAUSE", 0.1)
    with psycopg.connect(database_url) as dump:
        dump.execute("SELECT FROM preferences_events")
        with pytest.raises(CannotPartition, match="other sessions held the log's tables"):
            add_partition(database_url, 1)
    assert bounds(database_url) == [(None, None)]


def test_a_log_that_was_written_on_another_server_is_continued_first(database_url: str) -> None:
    move_elsewhere(database_url)
    with pytest.raises(psycopg.Error, match="was not continued on this one yet"):
        add_partition(database_url, 1)
    assert bounds(database_url) == [(None, None)]


# A failover, or a kill, while a partition is being closed


@pytest.fixture
def interrupted(two: str, monkeypatch) -> Callable[[Callable[[], None]], None]:
    """Closes the last partition, and lets something happen when the constraint is there."""

    def close(meanwhile: Callable[[], None]) -> None:
        def change_tables(connection: psycopg.Connection, change: Callable[[], object]) -> None:
            genuine(connection, change)
            monkeypatch.setattr("infrastructure.log.partitions.change_tables", genuine)
            meanwhile()

        genuine = table_changes.change_tables
        insert(two, (uuid4(), 1))
        insert(two, (uuid4(), 1))
        monkeypatch.setattr("infrastructure.log.partitions.change_tables", change_tables)
        add_partition(two, 3)

    return close


def test_the_log_goes_on_elsewhere_though_its_last_partition_was_being_closed(
    two: str, service_role: str, interrupted
) -> None:
    def fail_over() -> None:
        with pytest.raises(errors.CheckViolation):
            execute(two, INSERT.replace("(", "(notification_id, ", 1) + f"(1000000, '{uuid4()}', 1, 'foreign', '{{}}')")
        move_elsewhere(two)
        # The role of the service doesn't own the tables.
        asyncio.run(record(service_role, 2))

    with pytest.raises(CannotPartition, match="meanwhile an event came at or after position"):
        interrupted(fail_over)
    assert [kind for _, kind in log_of(two)][-3:] == ["continued", "opened", "toggled"]
    assert len(partitions(two)) == 2
    assert schema.differences(two) == []
    # Then it is closed beyond that.
    assert len(add_partition(two, 3)) == 3
    assert partitions(two)[-1].first == positions(two)[-1] + 3


def test_more_events_than_expected_are_taken_and_the_partition_stays_open(two, service_role: str, interrupted) -> None:
    with pytest.raises(CannotPartition, match="try again, with a larger --ahead"):
        interrupted(lambda: asyncio.run(record(service_role, 10)))
    assert len(log_of(two)) == 2 + 2 + 10
    assert len(partitions(two)) == 2
    assert schema.differences(two) == []


@pytest.mark.parametrize(
    "write", [write_as_library, lambda url: asyncio.run(record(url, 10))], ids=["library", "service"]
)
def test_it_gives_way_to_a_session_that_needs_the_table_for_itself(two: str, write, monkeypatch) -> None:
    # Given a partition that takes a minute to read
    slowly = "ALTER TABLE {table} VALIDATE CONSTRAINT preferences_events_closing; SELECT pg_sleep(60)"
    monkeypatch.setitem(log_partitions._QUERIES, "prove", slowly)
    insert(two, (uuid4(), 1))
    insert(two, (uuid4(), 1))
    with ThreadPoolExecutor() as thread:
        adding = thread.submit(add_partition, two, 3)
        until(lambda: asleep(two))
        # when the library locks the log, or the service has more events than fit into the partition,
        write(two)
        # then it is not the one that waits.
        with pytest.raises(CannotPartition, match="or another session needed preferences_events_2 for itself"):
            adding.result(10)
    assert len(log_of(two)) > 4
    assert not is_closing(two)
    assert schema.differences(two) == []


def asleep(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return (
            connection.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            ).rowcount
            > 0
        )


def test_while_a_dump_holds_the_partition_an_event_that_has_no_room_is_refused_soon(two: str, interrupted) -> None:
    """All others would wait behind the change of the table."""

    def dumped() -> None:
        with psycopg.connect(two) as dump:
            dump.execute("SELECT FROM preferences_events")
            with pytest.raises(Unavailable, match="lock timeout"):
                asyncio.run(record(two, 10))

    interrupted(dumped)
    assert len(partitions(two)) == 3
    asyncio.run(record(two, 10))
    assert len(log_of(two)) >= 2 + 2 + 10


def test_a_role_that_may_only_read_the_log_can_neither_disturb_nor_stop_it(
    two: str, service_role: str, interrupted
) -> None:
    execute(two, f"REVOKE INSERT ON preferences_events FROM {conninfo_to_dict(service_role)['user']}")

    def disturb() -> None:
        with psycopg.connect(service_role) as reader:
            reader.execute("CREATE TEMPORARY TABLE t (n int CONSTRAINT preferences_events_closing CHECK (true))")
            reader.execute("SELECT give_up_closing()")
            reader.commit()
            assert is_closing(two)
            # A table of another owner is left alone when the service gives up.
            asyncio.run(record(two, 10))

    with pytest.raises(CannotPartition):
        interrupted(disturb)
    assert len(log_of(two)) == 2 + 2 + 10


class Killed(BaseException):
    """The end of the process."""


@pytest.mark.parametrize("lost", [False, True], ids=["it cleans up", "it is killed"])
def test_after_the_end_of_the_command_changes_go_on_and_it_can_be_run_again(
    two: str, interrupted, lost: bool, monkeypatch
) -> None:
    def end() -> None:
        if lost:  # nothing is left to clean up with
            patched.setattr(psycopg.Connection, "execute", refuse)
        raise Killed

    def refuse(*_: object) -> None:
        raise psycopg.OperationalError

    with monkeypatch.context() as patched, pytest.raises(Killed):
        interrupted(end)
    assert is_closing(two) is lost
    asyncio.run(record(two, 10))
    assert not is_closing(two)
    assert len(add_partition(two, 5)) == 3
    assert schema.differences(two) == []


def is_closing(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT FROM pg_constraint WHERE conname = 'preferences_events_closing'")
        return found.rowcount > 0


def test_a_command_that_ends_between_its_steps_leaves_a_log_that_keeps_its_promises(database_url, monkeypatch) -> None:
    def convert_and_die(connection: psycopg.Connection, change: Callable[[], object]) -> None:
        table_changes.change_tables(connection, change)
        raise Killed

    monkeypatch.setattr("infrastructure.log.partitions.change_tables", convert_and_die)
    with pytest.raises(Killed):
        add_partition(database_url, 5)
    assert bounds(database_url) == [(None, None)]
    assert schema.differences(database_url) == []
    insert(database_url, (ADA, 1))
    with pytest.raises(errors.UniqueViolation):
        insert(database_url, (ADA, 1))


# Other disks


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
