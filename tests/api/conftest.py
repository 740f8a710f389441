import asyncio

import pytest

from infrastructure.identity.api_keys import PostgresApiKeys
from infrastructure.postgres.database import Database
from tests.support.server import Server


@pytest.fixture(scope="session")
def api_key(server: Server) -> str:
    async def create() -> str:
        async with Database(server.database_url) as database:
            return await PostgresApiKeys(database).create("org_math", "test", ["audit:read"])

    return asyncio.run(create())
