"""Opens databases for commands: running, suitable, and migrated."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog

from api.bootstrap import catalogues
from application.rebuild import Progress, Rebuild, RebuildResult
from infrastructure import logs
from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.server_keeper import ServerKeeper
from infrastructure.evidence.sweep.index_repair import IndexComparison, compare_index
from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.log import sequence
from infrastructure.postgres import migrations, schema, suitability
from infrastructure.postgres.database import Database
from infrastructure.preferences.event_store import PostgresPreferencesStore
from infrastructure.preferences.shadow_table import ShadowTable
from infrastructure.settings import Settings

OPERATOR_PATIENCE: Final = 15.0
"""Seconds that a person at the command line waits for the database to answer."""


log = structlog.get_logger("database")


@contextmanager
def running_database(settings: Settings, *, serving: bool = False) -> Iterator[str]:
    """The URL of the database. If none is configured, an embedded one runs as long as the context.

    `serving`: the embedded database is started again when it dies. Other commands end instead.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    with ServerKeeper("postgresql", postgres, EmbeddedPostgresError) if serving else postgres:
        yield postgres.url


@contextmanager
def suitable_database(settings: Settings, *, serving: bool = False) -> Iterator[str]:
    """The same as `running_database`. Raises `UnsuitableDatabase` if this service can't keep its promises with the database.

    When `serving` in production, this includes the promises that depend on how PostgreSQL writes to the disk.
    """
    with running_database(settings, serving=serving) as url:
        if settings.database_url is not None:
            durable = serving and not settings.development
            suitability.refuse(url, durable=durable, trusted=settings.database_storage == "durable")
        yield url


@contextmanager
def migrated_database(settings: Settings | None = None, *, serving: bool = False) -> Iterator[str]:
    """The same as `suitable_database`, with schema and catalogue up to date. Only the embedded database is migrated here; any
    other one is changed only by `preferences migrate`.

    Raises `MigrationError` if `preferences migrate` must be run first.
    """
    settings = settings or Settings.from_environment()
    with suitable_database(settings, serving=serving) as url:
        if settings.database_url is None:
            migrate(url, lambda _: None)
        elif wrong := migrations.status(url):
            raise migrations.MigrationError(f"the database's migrations: {wrong}")
        elif serving:
            # It is logged, but the service starts: an operator must not have to repair an index before the next restart.
            logs.configure(settings.log_level)
            for difference in schema.differences(url):
                log.error("the schema was altered", finding=difference)
        yield url


@contextmanager
def database_as_it_is() -> Iterator[str]:
    """The database for commands that read it before this release's migrations are applied. Nothing is migrated or published.

    Raises `MigrationError` if the database can't be migrated to this release.
    """
    with running_database(Settings.from_environment()) as url:
        migrations.pending(migrations.applied_at(url))
        yield url


async def rebuild(url: str, progress: Progress, *, swap: bool) -> RebuildResult:
    async with ShadowTable.open(url) as shadow:
        return await Rebuild(shadow, progress).run(swap=swap)


def compare_audit_index(url: str, progress: Callable[[int, int], None], *, repair: bool) -> IndexComparison:
    """Compare the audit index with the log. With `repair`, make the differing parts again."""
    return compare_index(url, progress, repair=repair)


def migrate(url: str, report: Callable[[str], None]) -> int:
    """Apply the pending migrations, and publish the catalogue if it is new. Reports each, and returns the number of migrations."""
    applied = migrations.migrate(url, lambda migration: report(f"applying {migration.number:04}_{migration.name}"))
    if (version := asyncio.run(catalogues.publish(url))) is not None:
        report(f"published catalogue version {version}")
    if (end := sequence.set_forward(url)) is not None:
        report(f"set the sequence of positions forward to the end of the log, {end}")
    return len(applied)


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[PostgresPreferencesStore]:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        yield PostgresPreferencesStore(database)


@asynccontextmanager
async def open_api_keys(url: str) -> AsyncIterator[PostgresApiKeys]:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        yield PostgresApiKeys(database)
