"""A log in partitions is the same log: its promises hold across their bounds, and nothing but time limits where they lie."""

from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from infrastructure.log.continuation import continuation_summary
from infrastructure.log.partitions import CannotPartition, add_partition
from infrastructure.postgres import schema, table_changes
from tests.support.events import ADA
from tests.support.eventsourcing_program import write_as_library
from tests.support.ledger import positions, record
from tests.support.partitioned import bounds, insert, one_table, stored_in
from tests.support.patient_database import patient_database
from tests.support.positions import execute, log_of, move_elsewhere

pytestmark = one_table


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


def test_a_new_partition_has_the_settings_of_the_one_before(database_url: str) -> None:
    execute(database_url, "ALTER TABLE preferences_events SET (autovacuum_vacuum_cost_delay = 1)")
    execute(database_url, "GRANT SELECT ON preferences_events TO pg_monitor")
    add_partition(database_url, 1)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT reloptions, relacl::text, relowner FROM pg_class WHERE relname ~ '^preferences_events_[12]$'"
        ).fetchall()
    [(parameters, privileges, _)] = rows
    assert "autovacuum_vacuum_cost_delay=1" in parameters
    assert "pg_monitor=r" in privileges


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
