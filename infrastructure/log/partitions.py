"""The log in several tables: partitions by ranges of positions. Readers and writers use it as the one table `preferences_events`.

The last partition has no end, so there is always room for the next event. To add a partition is to give the last one an end, some way
ahead of the log's, and to put an empty one behind it. That the last one has no event beyond its end is proved by a constraint, while
the service writes; only the exchange of the bounds stops it, for some milliseconds. A partition that has got its last event never changes again,
so it can be copied to another disk while it is read.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg import errors, sql

from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.sql import queries
from infrastructure.postgres.table_changes import TablesHeld, change_tables

_QUERIES: Final[dict[str, LiteralString]] = queries("event_log") | queries("partitions")

_SESSION: Final = Session(application="preferences partitions", connect_within=5)

_SMALLEST: Final = -(2**63)

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at what other sessions do."""


class CannotPartition(Exception):
    """One sentence on why the partitions can't be changed. The log is as it was."""


class Partition(NamedTuple):
    """A table of the log. It has the positions from `first` up to `end`, exclusive. `first` is None where the log begins, `end` is None where
    it goes on. `events` is approximate. `bytes` contains the indexes.
    """

    table: str
    first: int | None
    end: int | None
    events: int
    bytes: int
    tablespace: str


def partitions(url: str) -> list[Partition]:
    """The tables of the log, in its order. A log that is not partitioned has one."""
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        return _partitions(connection)


def add_partition(url: str, ahead: int) -> list[Partition]:
    """End the last partition so many positions after the end of the log, and add one for all later events. Returns all partitions.

    A log that is one table is made a partitioned one first. Raises `CannotPartition`.
    """
    with _changing(url) as connection:
        if connection.execute(_QUERIES["partitioned"]).fetchall() != [(True,)]:
            _convert(connection)
        _add(url, connection, ahead)
        connection.execute(_QUERIES["analyze"])
        return _partitions(connection)


def move_partition(url: str, table: str, tablespace: str) -> list[Partition]:
    """Copy a partition to another tablespace, while it is read, and put the copy in its place. Returns all partitions.

    Only a partition that gets no more events can be moved. Raises `CannotPartition`.
    """
    with _changing(url) as connection:
        _move(connection, table, tablespace)
        return _partitions(connection)


@contextmanager
def _changing(url: str) -> Iterator[BlockingConnection]:
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        if connection.execute(_QUERIES["guard"]).fetchall() != [(True,)]:
            raise CannotPartition("another process is changing the partitions")
        try:
            yield connection
        except TablesHeld as error:
            raise CannotPartition("other sessions held the log's tables, time and again; try again later") from error


def _partitions(connection: BlockingConnection) -> list[Partition]:
    return [Partition(*row) for row in connection.execute(_QUERIES["list"]).fetchall()]


def _convert(connection: BlockingConnection) -> None:
    if bound := connection.execute(_QUERIES["bound_to_the_table"]).fetchall():
        raise CannotPartition(
            f"these are bound to the log's one table, and must be dropped first: {', '.join(name for (name,) in bound)}"
        )
    change_tables(connection, lambda: _execute(connection, "hold", "stay_in_schema", "convert"))
    connection.execute(_QUERIES["analyze"])


def _add(url: str, connection: BlockingConnection, ahead: int) -> None:
    last = _partitions(connection)[-1]
    log_end = _position(connection, "given")
    if last.first is not None and log_end < last.first:
        raise CannotPartition(f"the last partition, {last.table}, begins at position {last.first} and has no event yet")
    number = int(last.table.rpartition("_")[2])
    names = _names(last._replace(end=log_end + ahead), f"preferences_events_{number + 1}")
    closing = ("hold", "stay_in_schema", "close", "copy_settings", "open")
    try:
        change_tables(connection, lambda: _execute(connection, "begin_closing", **names))
        with _giving_way(url, connection, names):
            _execute(connection, "prove", **names)
        change_tables(connection, lambda: _execute(connection, *closing, **names))
    except BaseException as error:
        with suppress(psycopg.Error):
            connection.execute(_QUERIES["give_up_closing"])
        if isinstance(error, errors.UndefinedObject | errors.CheckViolation | errors.QueryCanceled):
            raise CannotPartition(
                f"meanwhile an event came at or after position {log_end + ahead}, or another session needed {last.table} "
                "for itself; try again, with a larger --ahead"
            ) from error
        raise


@contextmanager
def _giving_way(url: str, connection: BlockingConnection, names: dict[str, sql.Composable]) -> Iterator[None]:
    """Cancel the connection's statement as soon as another session waits for the table. Appends would wait behind that session: the
    eventsourcing library's writers, for instance, lock the whole log.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_EVERY):
            if watching.execute(sql.SQL(_QUERIES["awaited"]).format(**names)).fetchall() == [(True,)]:
                connection.cancel_safe()
                return

    with connect_blocking(url, _SESSION, autocommit=True) as watching, ThreadPoolExecutor(1) as thread:
        watched = thread.submit(watch)
        try:
            yield
        finally:
            done.set()
        watched.result()


def _move(connection: BlockingConnection, table: str, tablespace: str) -> None:
    partition = next((one for one in _partitions(connection) if one.table == table), None)
    if partition is None:
        raise CannotPartition(f"the log has no table {table}; `preferences partitions list` has the names")
    # Events become visible in the order of their positions. So once this one is, none is on its way to the partition.
    if partition.end is None or _position(connection, "end") < partition.end - 1:
        raise CannotPartition(f"{table} still gets events; only a partition that gets no more can be moved")
    names = _names(partition, "preferences_events_moving") | {"tablespace": sql.Literal(tablespace)}
    try:
        with connection.transaction():
            _execute(connection, "stay_in_schema", "copy", "copy_settings", **names)
        _execute(connection, "statistics", **names)
        while connection.execute(sql.SQL(_QUERIES["seen_by_all"]).format(**names)).fetchall() != [(True,)]:
            time.sleep(LOOK_EVERY)
            _execute(connection, "statistics", **names)
        change_tables(connection, lambda: _execute(connection, "hold", "stay_in_schema", "exchange", **names))
    except BaseException:
        with suppress(psycopg.Error):
            _execute(connection, "drop_copy", **names)
        raise


def _position(connection: BlockingConnection, query: str) -> int:
    [(position,)] = connection.execute(_QUERIES[query]).fetchall()
    return int(position)


def _names(partition: Partition, new: str) -> dict[str, sql.Composable]:
    """What the statements name: a partition with its bounds, and a new table."""
    first = sql.Literal(str(_SMALLEST if partition.first is None else partition.first))
    return {
        "table": sql.Identifier(partition.table),
        "table_name": sql.Literal(partition.table),
        "new": sql.Identifier(new),
        "new_name": sql.Literal(new),
        "first": first,
        "bound": sql.SQL("MINVALUE") if partition.first is None else first,
        "end": sql.Literal(str(partition.end)),
    }


def _execute(connection: BlockingConnection, *queries: str, **names: sql.Composable) -> None:
    for query in queries:
        connection.execute(sql.SQL(_QUERIES[query]).format(**names))
