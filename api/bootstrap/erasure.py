"""Wires the erasure of a person for the command."""

from api.bootstrap.clock import clock_of
from api.bootstrap.operator_database import operator_database
from application.erasure import Erased, Erasure
from domain.catalogue import CATALOGUE
from infrastructure.erasure.erasure import PostgresErasures


async def erase(url: str, organization: str | None, user: str) -> Erased:
    async with operator_database(url) as database:
        clock = await clock_of(database)
        erasure = Erasure(PostgresErasures(database), CATALOGUE, iter(clock.ulid, None), clock)
        return await erasure.erase(organization, user)
