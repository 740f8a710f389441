"""Erasing a person, as the command does it."""

from ulid_transform import ulid_now

from api.bootstrap.clock import now
from api.bootstrap.databases import OPERATOR_PATIENCE
from application.erasure import Erased, Erasure
from domain.catalogue import CATALOGUE
from infrastructure.database import Database
from infrastructure.erasure import PostgresErasures


async def erase(url: str, organization: str | None, user: str) -> Erased:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        return await Erasure(PostgresErasures(database), CATALOGUE, iter(ulid_now, None), now).erase(organization, user)
