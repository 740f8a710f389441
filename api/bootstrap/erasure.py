"""Wires the erasure of a person for the command."""

from api.bootstrap.clock import clock_of
from api.bootstrap.databases import OPERATOR_PATIENCE
from application.erasure import Erased, Erasure
from domain.catalogue import CATALOGUE
from infrastructure.erasure.erasure import PostgresErasures
from infrastructure.postgres.database import Database


async def erase(url: str, organization: str | None, user: str) -> Erased:
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        clock = await clock_of(database)
        erasure = Erasure(PostgresErasures(database), CATALOGUE, iter(clock.ulid, None), clock)
        return await erasure.erase(organization, user)
