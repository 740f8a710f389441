"""The role that the running service has in production, and a log in two partitions."""

from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo

from infrastructure.log.partitions import add_partition
from tests.support.events import ADA
from tests.support.ledger import record
from tests.support.positions import execute


@pytest.fixture
def service_role(database_url: str) -> str:
    """The role of docs/production.md, which may take the next value of the sequence and not set it; its URL."""
    name = f"service_{uuid4().hex}"
    execute(database_url, f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    execute(database_url, f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {name}")
    execute(database_url, f"GRANT UPDATE ON current_preferences TO {name}")
    execute(database_url, f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}")
    return make_conninfo(database_url, user=name, password="secret")


@pytest.fixture
async def two(database_url: str) -> str:
    """A log whose first partition has Ada's first two events, and room for one more: the next one begins at position 4."""
    await record(database_url, 2, ADA)
    add_partition(database_url, 2)
    return database_url
