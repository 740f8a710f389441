"""Opens the API keys for the commands that manage them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.bootstrap.operator_database import operator_database
from infrastructure.identity.api_keys import PostgresApiKeys


@asynccontextmanager
async def open_api_keys(url: str) -> AsyncIterator[PostgresApiKeys]:
    async with operator_database(url) as database:
        yield PostgresApiKeys(database)
