"""How far behind the audit index is, as the benchmark sees it."""

from collections.abc import Iterator

import psycopg
import pytest

from bench.lag import Lag, LagWatch, lag
from bench.stored_log import fill
from bench.users import numbered
from tests.support.eventually import until

MOVE = "INSERT INTO followers (name, position) VALUES ('audit-index', %s) ON CONFLICT (name) DO UPDATE SET position = excluded.position"

# Whether a connection has asked for the events behind since an instant.
LOOKED = (
    "SELECT query_start > %s AND state = 'idle' AND query LIKE 'SELECT count%%' FROM pg_stat_activity WHERE pid = %s"
)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """To a log of 12 events of the past."""
    fill(database_url, map(numbered, range(3)), 4)
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def end_of(connection: psycopg.Connection) -> int:
    return connection.execute("SELECT max(notification_id) FROM preferences_events").fetchall()[0][0]


def test_an_index_that_has_begun_is_behind_by_the_events_after_its_position(connection: psycopg.Connection) -> None:
    connection.execute(MOVE, [end_of(connection) - 5])
    behind = lag(connection)
    assert behind.events == 5
    assert behind.seconds > 3600


def test_an_index_that_never_ran_is_behind_by_the_whole_log(connection: psycopg.Connection) -> None:
    assert lag(connection).events == 12


def test_an_index_at_the_end_of_the_log_is_not_behind(connection: psycopg.Connection) -> None:
    connection.execute(MOVE, [end_of(connection)])
    assert lag(connection) == Lag(0, 0)


def test_a_watch_keeps_the_most_that_the_index_was_behind(connection: psycopg.Connection, database_url: str) -> None:
    # Given an index that is behind, and watched,
    connection.execute(MOVE, [end_of(connection) - 5])
    with psycopg.connect(database_url, autocommit=True) as beside, LagWatch(beside) as watch:
        until(lambda: watch.most.events)
        # when it catches up, and the watch looks again,
        connection.execute(MOVE, [end_of(connection)])
        caught_up = connection.execute("SELECT clock_timestamp()").fetchall()[0][0]
        until(lambda: connection.execute(LOOKED, [caught_up, beside.info.backend_pid]).fetchall()[0][0])
    # then the watch still has what it has seen before.
    assert watch.most.events == 5


def test_a_watch_whose_connection_breaks_says_so(connection: psycopg.Connection, database_url: str) -> None:
    beside = psycopg.connect(database_url, autocommit=True)
    watch = LagWatch(beside)
    watch.__enter__()
    until(lambda: watch.most.events)
    beside.close()
    until(watch.has_failed)
    with pytest.raises(psycopg.OperationalError):
        watch.__exit__()
