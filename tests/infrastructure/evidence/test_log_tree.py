"""The store of the tree on a real PostgreSQL: who writes checkpoints has it alone, and for so long as it works."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors

from domain.checkpoint import Checkpoint
from infrastructure.evidence.log_tree import PostgresTreeStore, leaves, reading
from tests.support.events import NOON
from tests.support.filled_log import fill

FIRST = Checkpoint("example.com", 1, bytes(32), 1, NOON)
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@contextmanager
def watching(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_who_waited_sees_what_the_one_before_wrote_whatever_the_isolation_is_by_default(database_url: str) -> None:
    with watching(database_url) as connection:
        connection.execute(
            f"ALTER DATABASE {connection.info.dbname} SET default_transaction_isolation = 'serializable'"
        )

    def last() -> str | None:
        with PostgresTreeStore(database_url).exclusively() as tree:
            kept = tree.last()
            return kept.note if kept else None

    with ThreadPoolExecutor(1) as elsewhere, watching(database_url) as connection:
        with PostgresTreeStore(database_url).exclusively() as tree:
            waiting = elsewhere.submit(last)
            while connection.execute(WAITING).fetchone() == (0,):
                assert not waiting.done()
            tree.keep(FIRST, "the first one")
        assert waiting.result() == "the first one"


def test_who_is_kept_waiting_for_too_long_gives_up(database_url: str) -> None:
    with (
        PostgresTreeStore(database_url).exclusively(),
        pytest.raises(errors.LockNotAvailable),
        PostgresTreeStore(database_url, patience=0.2).exclusively(),
    ):
        pass


def test_who_stands_still_keeps_nobody_waiting_and_nothing_of_it_is_kept(database_url: str) -> None:
    def stand_still() -> None:
        with PostgresTreeStore(database_url, patience=0.2).exclusively() as suspended:
            suspended.keep(FIRST, "never committed")
            time.sleep(0.5)
            with PostgresTreeStore(database_url).exclusively() as tree:
                assert tree.last() is None
            suspended.last()

    with pytest.raises(errors.IdleInTransactionSessionTimeout):
        stand_still()


@pytest.mark.parametrize(
    ("ended_by", "error"),
    [("pg_cancel_backend", errors.QueryCanceled), ("pg_terminate_backend", psycopg.OperationalError)],
)
def test_a_reader_whose_statement_is_ended_in_the_middle_of_the_log_hears_why(
    database_url: str, ended_by: str, error: type[psycopg.Error]
) -> None:
    # given a log that is longer than what is on its way at a time
    fill(database_url, 20_000)

    def read() -> int:
        with reading(database_url) as connection:
            rows = leaves(connection)
            next(rows)
            # when
            with watching(database_url) as other:
                other.execute(f"SELECT {ended_by}(%s)", [connection.info.backend_pid])
            return sum(1 for _ in rows)

    with pytest.raises(error) as raised:
        read()
    # then
    assert "no COPY in progress" not in str(raised.value)


def test_a_stretch_of_the_log_is_read_to_its_end_whatever_its_length(database_url: str) -> None:
    fill(database_url, 3)
    with reading(database_url) as connection:
        connection.execute("SET LOCAL enable_sort = off")
        for first, limit, count in ((1, None, 3), (1, 2, 2), (3, 1, 1), (4, None, 0), (1, 0, 0)):
            assert len(list(leaves(connection, first, limit))) == count
