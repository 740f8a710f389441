"""A log with a table for what a follower writes down, and the register of followers."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from infrastructure.followers.register import FollowerRegister
from tests.support.ledger import TABLE
from tests.support.patient_database import patient_database
from tests.support.running_followers import NOW


@pytest.fixture
def url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLE)
    return database_url


@pytest.fixture
async def register(url: str) -> AsyncIterator[FollowerRegister]:
    async with patient_database(url, size=2) as database:
        yield FollowerRegister(database, lambda: NOW)
