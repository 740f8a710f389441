"""Databases, as commands need them: running, migrated, opened."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from api.bootstrap import catalogues
from application.rebuild import Progress, Rebuild, RebuildResult
from infrastructure import migrations, sequence
from infrastructure.api_keys import PostgresApiKeys
from infrastructure.database import Database
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store import PostgresPreferencesStore
from infrastructure.settings import Settings
from infrastructure.shadow_table import ShadowTable

OPERATOR_PATIENCE: Final = 15.0
"""Seconds that a person at the command line waits for the database to answer."""


@contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """The URL of the database; where none is configured, of an embedded one that runs as long as the context."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir) as postgres:
        yield postgres.url


@contextmanager
def migrated_database(of: Settings | None = None) -> Iterator[str]:
    """The same, with its schema and catalogue up to date. Only the embedded one is migrated here: anybody else's is not ours to change.

    Raises `MigrationError` where `preferences migrate` has to be run first.
    """
    of = of or Settings.from_environment()
    with running_database(of) as url:
        if of.database_url is None:
            migrate(url, lambda _: None)
        elif wrong := migrations.status(url):
            raise migrations.MigrationError(f"the database's migrations: {wrong}")
        yield url


async def rebuild(url: str, progress: Progress, *, swap: bool) -> RebuildResult:
    async with ShadowTable.open(url) as shadow:
        return await Rebuild(shadow, progress).run(swap=swap)


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
