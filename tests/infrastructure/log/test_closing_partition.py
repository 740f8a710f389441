"""A failover, more events than expected, another session, or the end of the command, while a partition is being closed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from domain.errors import Unavailable
from infrastructure.log import partitions as log_partitions
from infrastructure.log.partitions import CannotPartition, add_partition, partitions
from infrastructure.postgres import schema, table_changes
from tests.support.events import ADA
from tests.support.eventsourcing_program import write_as_library
from tests.support.eventually import until
from tests.support.ledger import positions, record
from tests.support.partitioned import INSERT, bounds, insert, one_table
from tests.support.positions import execute, log_of, move_elsewhere

pytestmark = one_table


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
