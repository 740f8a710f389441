"""Publishes, compares and lists catalogues."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.bootstrap.clock import clock_of
from api.bootstrap.operator_database import operator_database
from application.publishing import CatalogueLog, Impact, Publishing
from application.vocabulary import Checked, validate_with_history
from domain.catalogue import CATALOGUE, Catalogue
from domain.catalogue_difference import Alteration, alterations
from domain.events import CataloguePublished
from domain.published_catalogues import catalogue_of
from infrastructure.log.catalogues import NoCatalogues, PostgresCatalogues
from infrastructure.postgres import migrations
from infrastructure.postgres.database import Database
from infrastructure.postgres.database_clock import DatabaseClock

COUNT_WITHIN: Final = 600.0
"""Seconds that counting over the choices of all users may take."""


async def publish(url: str) -> int | None:
    """Publish this release's catalogue. Returns its version, or None if it was published before. Raises `CatalogueRefused`."""
    async with _database(url) as database:
        clock = await clock_of(database)
        event = await _publishing(PostgresCatalogues(database), clock).publish(CATALOGUE)
    return event.catalogue_version if event else None


async def impact(url: str) -> Impact:
    """The changes that publishing this release's catalogue would make. It works in a database without this release's migrations, too.

    Raises `CatalogueRefused` if it can't be published.
    """
    if not migrations.applied_at(url):
        return await _publishing(NoCatalogues(), DatabaseClock()).impact(CATALOGUE)
    async with _catalogues(url) as catalogues:
        return await _publishing(catalogues, DatabaseClock()).impact(CATALOGUE)


async def published(url: str) -> list[tuple[CataloguePublished, list[Alteration]]]:
    """Every published catalogue, oldest first, with its changes to the one before."""
    async with _catalogues(url) as catalogues:
        events = (await catalogues.published()).events
    previous = [None, *map(catalogue_of, events)]
    return [(event, alterations(before, catalogue_of(event))) for before, event in zip(previous, events, strict=False)]


async def verdict(url: str) -> str | None:
    """The fault in the published catalogues as this release sees it; None if there is none."""
    async with _catalogues(url) as catalogues:
        return (await catalogues.published()).verdict(CATALOGUE)


async def ever_known(url: str, check: Callable[[Catalogue], Checked]) -> Checked:
    """The result of `check` with this release's catalogue or any published one. Raises `ValidationFailed`."""
    async with _catalogues(url) as catalogues:
        return await validate_with_history(CATALOGUE, catalogues.published, check)


def _publishing(catalogues: CatalogueLog, clock: DatabaseClock) -> Publishing:
    return Publishing(catalogues, iter(clock.ulid, None), clock)


@asynccontextmanager
async def _catalogues(url: str) -> AsyncIterator[PostgresCatalogues]:
    async with _database(url) as database:
        yield PostgresCatalogues(database)


def _database(url: str) -> Database:
    return operator_database(url, answer_within=COUNT_WITHIN)
