"""Numbered, forward-only, checksummed changes of the schema, applied under a lock, each in a transaction of its own
that makes no request wait for a table that somebody else holds."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg import errors, sql
from psycopg.rows import TupleRow

from infrastructure.session import Session, connect_blocking

LOCK: Final = 7305114882902

ATTEMPTS: Final = 30
"""How often a migration is tried while others hold a table that it changes."""

PAUSE: Final = 1.0
"""Seconds between two attempts, in which those whom one of them kept waiting are served."""

_PATIENCE: Final = "200ms"
"""For how long a migration waits for a table: everybody who comes after it waits as well."""

_SESSION: Final = Session(application="preferences migrate", connect_within=5)

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer     NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """One sentence on why the schema can't be brought up to date."""


class Migration(NamedTuple):
    number: int
    name: str
    sql: LiteralString

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available() -> list[Migration]:
    """The migrations that this release carries, in order."""
    folder = files("infrastructure").joinpath("migrations")
    named = [(re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name), file) for file in folder.iterdir()]
    return sorted(Migration(int(name[1]), name[2], file.read_text("utf-8")) for name, file in named if name)


def pending(applied: Mapping[int, str]) -> list[Migration]:
    """Those not among `applied` (number to checksum).

    Raises `MigrationError` if one that was applied has been edited since, or isn't known to this release.
    """
    known = {migration.number: migration for migration in available()}
    for number, checksum in applied.items():
        if number not in known:
            raise MigrationError(f"the database has migration {number:04}, and this release is too old to know it")
        if known[number].checksum != checksum:
            raise MigrationError(f"migration {number:04}_{known[number].name} was edited after it had been applied")
    return [migration for migration in known.values() if migration.number not in applied]


def verdict(applied: Mapping[int, str]) -> str | None:
    """What is wrong with a database that has these migrations; None if nothing is."""
    try:
        due = pending(applied)
    except MigrationError as error:
        return str(error)
    return f"{len(due)} not applied: run `preferences migrate`" if due else None


def verdict_while_serving(applied: Mapping[int, str]) -> str | None:
    """The same for a process that serves already, to which a newer database is none of its concern.

    While a release is rolled out, the processes of the one before serve from a database that was migrated for the next,
    and each migration leaves them working. If they weren't ready, nobody would be until the new ones have started.
    """
    newest = max(migration.number for migration in available())
    return verdict({number: checksum for number, checksum in applied.items() if number <= newest})


def status(url: str) -> str | None:
    """What is wrong with the schema of this database; None if nothing is."""
    with connect_blocking(url, _SESSION) as connection:
        try:
            return verdict(_applied(connection))
        except errors.UndefinedTable:
            return verdict({})


def migrate(url: str, report: Callable[[Migration], None] = lambda _: None) -> list[Migration]:
    """Apply what is pending and return it. Several processes may call this at once: one does it, the others wait.

    Raises `MigrationError` for what `pending` refuses, and where a table can't be had.
    """
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        connection.execute(_TABLE)
        due = pending(_applied(connection))
        for migration in due:
            report(migration)
            _apply(connection, migration)
        return due


def _apply(connection: psycopg.Connection[TupleRow], migration: Migration) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_PATIENCE))
                connection.execute(migration.sql)
                connection.execute(
                    "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
                    [migration.number, migration.name, migration.checksum],
                )
            return
        except errors.LockNotAvailable as error:
            if not left:
                raise MigrationError(
                    f"migration {migration.number:04}_{migration.name} couldn't have its tables: others held them, time and again"
                ) from error
        time.sleep(PAUSE)


def _applied(connection: psycopg.Connection[TupleRow]) -> dict[int, str]:
    return dict(connection.execute("SELECT number, checksum FROM schema_migrations").fetchall())
