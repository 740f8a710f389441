import asyncio

import pytest

from infrastructure.identity.api_keys import PostgresApiKeys
from tests.support.patient_database import patient_database
from tests.support.server import Server


@pytest.fixture(scope="session")
def api_key(server: Server) -> str:
    async def create() -> str:
        async with patient_database(server.database_url) as database:
            return await PostgresApiKeys(database).create("org_math", "test", ["audit:read"])

    return asyncio.run(create())
