"""Catalogues for tests, and publishing them into a database."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
from ulid_transform import ulid_now

from application.publishing import Publishing
from domain.catalogue import CATALOGUE, Catalogue, Channel, Resolved, Toggle, path
from domain.events import CataloguePublished
from domain.preferences import stream_id
from domain.published_catalogues import channels_of
from infrastructure.log.catalogues import PostgresCatalogues
from tests.support.events import NOON, catalogue_published
from tests.support.patient_database import patient_database


def catalogue(version: int, **toggles: bool | None) -> Catalogue:
    """A catalogue of one channel, `email`, with these defaults; None is a toggle that is always sent."""
    described = tuple(Toggle(name, default is not False, default is None) for name, default in toggles.items())
    return Catalogue(version, (Channel("email", described),))


def answered(**choices: bool) -> Resolved:
    """What the product answers to a user with these choices in `email`, and with the defaults for all the rest."""
    return CATALOGUE.resolve({path("email", toggle): choice for toggle, choice in choices.items()})


def published(catalogue: Catalogue, at: datetime = NOON) -> CataloguePublished:
    return catalogue_published(catalogue.version, channels=channels_of(catalogue), timestamp=at)


async def publish(
    url: str, published: Catalogue = CATALOGUE, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    async with patient_database(url, size=1) as database:
        await Publishing(PostgresCatalogues(database), iter(ulid_now, None), clock).publish(published)


def choose(url: str, *choices: str) -> None:
    """Users with these choices, as JSON, in the read model."""
    with psycopg.connect(url) as connection:
        for number, chosen in enumerate(choices):
            connection.execute(
                "INSERT INTO current_preferences (originator_id, version, choices, modified_at, position) "
                "VALUES (%s, 2, %s, now(), 1)",
                [stream_id("org_math", f"user_{number}"), chosen],
            )
