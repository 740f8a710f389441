"""Numbered, checksummed changes of the schema, which only go forward. They are applied under a lock, each in a transaction of its own.
While a migration waits for a table that another session holds, no request waits long behind it.

A migration states in a line of its own, `-- leaves-working: 0007`, which releases work with its schema: those that carry migration 0007,
and all later ones. The database keeps that number. So an older release, which does not have the file, knows that it may start.
"""

import hashlib
import re
from collections.abc import Callable, Collection
from functools import cache, partial
from importlib.resources import files
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.table_changes import TablesHeld, change_tables

LOCK: Final = 7305114882902

_SESSION: Final = Session(application="preferences migrate", connect_within=5)

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer     NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    leaves_working integer
)
"""

_HAS_COLUMN: Final = """
SELECT FROM pg_attribute
WHERE attrelid = 'schema_migrations'::regclass AND attname = 'leaves_working' AND NOT attisdropped
"""

_ADD_COLUMN: Final = "ALTER TABLE schema_migrations ADD COLUMN leaves_working integer"

APPLIED: Final = "SELECT number, checksum, (to_jsonb(m) ->> 'leaves_working')::integer FROM schema_migrations m"
"""The migrations of a database. If an older release made the table without its last column, that column is null."""

_LEAVES_WORKING: Final = re.compile(r"^-- leaves-working: (\d{4})$", re.MULTILINE)


class MigrationError(Exception):
    """One sentence on why the schema can't be brought up to date."""


class Migration(NamedTuple):
    number: int
    name: str
    sql: LiteralString

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def leaves_working(self) -> int | None:
        """The newest migration of the oldest release that works with the schema after this migration. None if the file does not say."""
        said = _LEAVES_WORKING.search(self.sql)
        return int(said[1]) if said else None


class Applied(NamedTuple):
    """A migration that a database has, as its table records it."""

    number: int
    checksum: str
    leaves_working: int | None


@cache
def available() -> list[Migration]:
    """The migrations that this release carries, in order. They are read once."""
    folder = files("infrastructure").joinpath("migrations")
    named = [(re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name), file) for file in folder.iterdir()]
    return sorted(Migration(int(name[1]), name[2], file.read_text("utf-8")) for name, file in named if name)


def pending(applied: Collection[Applied]) -> list[Migration]:
    """The migrations that are not among `applied`.

    Raises `MigrationError` if an applied one was edited later, or if the database has a newer one with which this release does not work.
    """
    known = {migration.number: migration for migration in available()}
    newest = max(known)
    for number, checksum, leaves_working in applied:
        if number not in known:
            if number > newest and leaves_working is not None and leaves_working <= newest:
                continue
            if leaves_working is None:
                raise MigrationError(f"the database has migration {number:04}, and this release is too old to know it")
            raise MigrationError(
                f"the database has migration {number:04}, which only leaves releases working that have {leaves_working:04}: this one is too old"
            )
        if known[number].checksum != checksum:
            raise MigrationError(f"migration {number:04}_{known[number].name} was edited after it had been applied")
    numbers = {migration.number for migration in applied}
    return [migration for migration in known.values() if migration.number not in numbers]


def verdict(applied: Collection[Applied]) -> str | None:
    """The problem with a database that has these migrations, or None. It is the same for a running process and for one that starts:
    during a rollout of a newer release, both use the database that was migrated for it.
    """
    try:
        due = pending(applied)
    except MigrationError as error:
        return str(error)
    return f"{len(due)} not applied: run `preferences migrate`" if due else None


def status(url: str) -> str | None:
    """The problem with the schema of this database, or None."""
    return verdict(applied_at(url))


def applied_at(url: str) -> list[Applied]:
    """The migrations that this database has. Empty if it has no schema yet."""
    with connect_blocking(url, _SESSION) as connection:
        try:
            return applied(connection)
        except errors.UndefinedTable:
            return []


def migrate(url: str, report: Callable[[Migration], None] = lambda _: None) -> list[Migration]:
    """Apply the pending migrations and return them. Several processes may call this at once: one does it, the others wait.

    Raises `MigrationError` if `pending` does, or if a table stays locked.
    """
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        connection.execute(_TABLE)
        due = pending(applied(connection))
        if not connection.execute(_HAS_COLUMN).fetchall():
            _change(connection, "the change of schema_migrations", partial(connection.execute, _ADD_COLUMN))
        for migration in due:
            report(migration)
            name = f"migration {migration.number:04}_{migration.name}"
            _change(connection, name, partial(_apply, connection, migration))
        return due


def _change(connection: BlockingConnection, what: str, change: Callable[[], object]) -> None:
    try:
        change_tables(connection, change)
    except TablesHeld as error:
        raise MigrationError(f"{what} couldn't have its tables: others held them, time and again") from error


def _apply(connection: psycopg.Connection[TupleRow], migration: Migration) -> None:
    connection.execute(migration.sql)
    connection.execute(
        "INSERT INTO schema_migrations (number, name, checksum, leaves_working) VALUES (%s, %s, %s, %s)",
        [migration.number, migration.name, migration.checksum, migration.leaves_working],
    )


def applied(connection: psycopg.Connection[TupleRow]) -> list[Applied]:
    """Raises `UndefinedTable` if there is no schema yet."""
    return [Applied(*row) for row in connection.execute(APPLIED).fetchall()]
