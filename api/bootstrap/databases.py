"""Databases, as commands need them: running, migrated, opened."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog

from api.bootstrap import catalogues
from application.rebuild import Progress, Rebuild, RebuildResult
from infrastructure import logs
from infrastructure.audit.index_repair import IndexComparison, compare_index
from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.server_keeper import ServerKeeper
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
    """The URL of the database; where none is configured, of an embedded one that runs as long as the context.

    `serving`: that one is started again when it dies. A command that does one thing ends instead.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    with ServerKeeper("postgresql", postgres, EmbeddedPostgresError) if serving else postgres:
        yield postgres.url


@contextmanager
def suitable_database(of: Settings, *, serving: bool = False) -> Iterator[str]:
    """The same. Raises `UnsuitableDatabase` where our promises can't be kept with it: `serving` in production, those included
    that rest on what PostgreSQL does with the disk."""
    with running_database(of, serving=serving) as url:
        if of.database_url is not None:
            durable = serving and not of.development
            suitability.refuse(url, durable=durable, trusted=of.database_storage == "durable")
        yield url


@contextmanager
def migrated_database(of: Settings | None = None, *, serving: bool = False) -> Iterator[str]:
    """The same, with its schema and catalogue up to date. Only the embedded one is migrated here: anybody else's is not ours to change.

    Raises `MigrationError` where `preferences migrate` has to be run first.
    """
    of = of or Settings.from_environment()
    with suitable_database(of, serving=serving) as url:
        if of.database_url is None:
            migrate(url, lambda _: None)
        elif wrong := migrations.status(url):
            raise migrations.MigrationError(f"the database's migrations: {wrong}")
        elif serving:
            # Told, and no reason not to serve: who mends an index must not have to do it before the next restart.
            logs.configure(of.log_level)
            for difference in schema.differences(url):
                log.error("the schema was altered", finding=difference)
        yield url


@contextmanager
def database_as_it_is() -> Iterator[str]:
    """The same for what looks before this release's migrations are applied: nothing is migrated and nothing published.

    Raises `MigrationError` where this release couldn't be migrated to.
    """
    with running_database(Settings.from_environment()) as url:
        migrations.pending(migrations.applied_at(url))
        yield url


async def rebuild(url: str, progress: Progress, *, swap: bool) -> RebuildResult:
    async with ShadowTable.open(url) as shadow:
        return await Rebuild(shadow, progress).run(swap=swap)


def compare_audit_index(url: str, progress: Callable[[int, int], None], *, repair: bool) -> IndexComparison:
    """Hold the index of the audit log against the log, and make anew what differs, if that is asked for."""
    return compare_index(url, progress, repair=repair)


def migrate(url: str, report: Callable[[str], None]) -> int:
    """Apply what is pending and publish the catalogue if it is new, reporting each; how many migrations there were."""
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
