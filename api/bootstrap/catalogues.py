"""The catalogue: published, compared, looked at."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.bootstrap.clock import clock_of
from application.publishing import CatalogueLog, Impact, Publishing
from application.vocabulary import Checked, checked
from domain.catalogue import CATALOGUE, Catalogue
from domain.catalogue_difference import Alteration, alterations
from domain.events import CataloguePublished
from domain.published_catalogues import catalogue_of
from infrastructure.log.catalogues import NoCatalogues, PostgresCatalogues
from infrastructure.postgres import migrations
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import DatabaseClock

PATIENCE: Final = 15.0
"""Seconds that a person at the command line waits for the database to answer."""

COUNT_WITHIN: Final = 600.0
"""Seconds for looking at the choices of all users."""


async def publish(url: str) -> int | None:
    """Publish this release's catalogue; its version, or None if it was published before. Raises `CatalogueRefused`."""
    async with _database(url) as database:
        clock = await clock_of(database)
        event = await _publishing(PostgresCatalogues(database), clock).publish(CATALOGUE)
    return event.catalogue_version if event else None


async def impact(url: str) -> Impact:
    """What publishing this release's catalogue would change, also in a database that isn't migrated to this release yet.

    Raises `CatalogueRefused` where it can't be published.
    """
    if not migrations.applied_at(url):
        return await _publishing(NoCatalogues(), DatabaseClock()).impact(CATALOGUE)
    async with _catalogues(url) as catalogues:
        return await _publishing(catalogues, DatabaseClock()).impact(CATALOGUE)


async def published(url: str) -> list[tuple[CataloguePublished, list[Alteration]]]:
    """Every published catalogue, oldest first, with what it changed about the one before."""
    async with _catalogues(url) as catalogues:
        events = (await catalogues.published()).events
    previous = [None, *map(catalogue_of, events)]
    return [(event, alterations(before, catalogue_of(event))) for before, event in zip(previous, events, strict=False)]


async def verdict(url: str) -> str | None:
    """What is wrong with what is published, for this release; None if nothing is."""
    async with _catalogues(url) as catalogues:
        return (await catalogues.published()).verdict(CATALOGUE)


async def ever_known(url: str, check: Callable[[Catalogue], Checked]) -> Checked:
    """What `check` makes of the words of this release's catalogue, or of any that was published. Raises `ValidationFailed`."""
    async with _catalogues(url) as catalogues:
        return await checked(CATALOGUE, catalogues.published, check)


def _publishing(catalogues: CatalogueLog, clock: DatabaseClock) -> Publishing:
    return Publishing(catalogues, iter(clock.ulid, None), clock)


@asynccontextmanager
async def _catalogues(url: str) -> AsyncIterator[PostgresCatalogues]:
    async with _database(url) as database:
        yield PostgresCatalogues(database)


def _database(url: str) -> Database:
    return Database(url, size=1, connect_within=5, patience=PATIENCE, answer_within=COUNT_WITHIN)
