import psycopg
import pytest


@pytest.fixture
def empty_database(postgres) -> str:
    """The URL of a database without a schema."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS empty")
        connection.execute("CREATE DATABASE empty")
    return postgres.database_url("empty")
