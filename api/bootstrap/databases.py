"""Opens databases for commands: running, suitable, and migrated."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from api.bootstrap.replication import replicated
from infrastructure import logs
from infrastructure.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError
from infrastructure.embedded.server_keeper import ServerKeeper
from infrastructure.log import sequence
from infrastructure.postgres import migrations, schema, suitability
from infrastructure.settings import Settings

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
            suitability.refuse(
                url,
                durable=durable,
                trusted=settings.database_storage == "durable",
                replicated=serving and replicated(settings),
            )
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


def migrate(url: str, report: Callable[[str], None]) -> int:
    """Apply the pending migrations, and publish the catalogue if it is new. Reports each, and returns the number of migrations."""
    # Imported only here: a command that works on a migrated database publishes nothing.
    from api.bootstrap import catalogues

    applied = migrations.migrate(url, lambda migration: report(f"applying {migration.number:04}_{migration.name}"))
    if (version := asyncio.run(catalogues.publish(url))) is not None:
        report(f"published catalogue version {version}")
    if (end := sequence.set_forward(url)) is not None:
        report(f"set the sequence of positions forward to the end of the log, {end}")
    return len(applied)
