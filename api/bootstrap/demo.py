"""Fills the embedded database of development mode with a made-up year."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

from ulid_transform import ulid_at_time

from api.bootstrap import evidence
from api.bootstrap.databases import running_database
from application.demo.acts import Choose
from application.demo.filling import DemoRefused, Filling
from application.demo.year import year
from application.following import Following, Step
from application.progress import Progress
from domain.catalogue import CATALOGUE
from infrastructure.audit.index import AuditIndexer
from infrastructure.audit.reads import PostgresAuditReads
from infrastructure.embedded import demo_database
from infrastructure.erasure.erasure import PostgresErasures
from infrastructure.followers.journal import PostgresJournal
from infrastructure.log.catalogues import PostgresCatalogues
from infrastructure.log.sealing import new_key
from infrastructure.postgres import migrations
from infrastructure.postgres.connection import AnyConnection
from infrastructure.postgres.database import POINT_LOOKUP_OPTIONS, Database
from infrastructure.postgres.session import Session, connect
from infrastructure.preferences.event_store import PostgresPreferencesStore
from infrastructure.settings import Settings


class Filled(NamedTuple):
    users: int
    organizations: int
    events: int


@contextmanager
def emptied_database(settings: Settings) -> Iterator[str]:
    """The URL of the embedded database, running and without a schema. Raises `DemoRefused`."""
    if settings.database_url is not None:
        raise DemoRefused("the demo fills the embedded database only: unset DATABASE_URL")
    if not settings.development:
        raise DemoRefused("the demo works in development mode only: unset the CLERK_ settings")
    file = settings.published_checkpoints
    if settings.checkpoint_file is not None and file.exists() and file.stat().st_size:
        raise DemoRefused(f"{file} has checkpoints of another log: unset CHECKPOINT_FILE")
    with running_database(settings) as url:
        if why := demo_database.refusal(url):
            raise DemoRefused(f"the database in {settings.data_dir} {why}")
        # The file goes first. A demo that is interrupted here finds a database that it may still empty.
        file.unlink(missing_ok=True)
        demo_database.empty(url)
        yield url


def fill(settings: Settings, url: str, users: int, seed: int, filling: Progress, indexing: Progress) -> Filled:
    """Make the year happen in an empty database: the log, its checkpoints, and the audit index."""
    migrations.migrate(url)
    return asyncio.run(_fill(settings, url, users, seed, filling, indexing))


async def _fill(settings: Settings, url: str, users: int, seed: int, filling: Progress, indexing: Progress) -> Filled:
    now = datetime.now(UTC)
    acts = year(Random(seed), now, users, CATALOGUE)  # noqa: S311 - nothing here is secret
    async with Database(url, size=1, connect_within=5, options=POINT_LOOKUP_OPTIONS) as database:
        year_of_acts = Filling(
            PostgresPreferencesStore(database),
            PostgresCatalogues(database),
            PostgresErasures(database),
            PostgresAuditReads(database),
            lambda at: ulid_at_time(at.timestamp()),
            new_key,
            lambda at: evidence.checkpoint_as_of(settings, url, at),
        )
        await year_of_acts.run(acts, filling)
    evidence.checkpoint_as_of(settings, url, now)
    await _index(url, year_of_acts.events, indexing)
    people = {(act.organization, act.user) for act in acts if isinstance(act, Choose)}
    return Filled(len(people), len({organization for organization, _ in people}), year_of_acts.events)


async def _index(url: str, events: int, progress: Progress) -> None:
    session = Session(application="preferences demo", connect_within=5, durable=False)
    async with await connect(url, session) as connection:
        await connection.set_autocommit(True)
        journal: PostgresJournal = PostgresJournal(connection, AuditIndexer.name)
        await journal.register()
        following: Following[AnyConnection] = Following(AuditIndexer(), journal)
        step = Step.ON
        while step is Step.ON:
            step = await following.step()
            progress(following.handled, events)
