"""The role that the running service has in production."""

from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo

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
