from collections.abc import Callable

import psycopg
import pytest

from tests.support.command import Command, Result


@pytest.fixture
def preferences(database_url: str, folder) -> Command:
    """The console script on a database of this test's own, in development mode."""
    command = Command(folder / "data", database_url)
    command.settings["database_storage"] = "durable"  # the tests' shared PostgreSQL doesn't wait for the disk
    return command


@pytest.fixture
def nowhere(folder) -> Command:
    """The same where no database is: for what must be refused, or done, without one."""
    return Command(folder / "data", "postgresql://127.0.0.1:1/nowhere")


@pytest.fixture
def inside(preferences: Command, monkeypatch, capsys) -> Callable[..., Result]:
    """The same without a process of its own."""
    return lambda *arguments, **settings: preferences.inside(monkeypatch, capsys, *arguments, **settings)


@pytest.fixture
def empty_database(postgres, database_url: str):
    """The URL of a database without a schema."""
    name = database_url.rsplit("/", 1)[1].split("?")[0] + "_empty"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.database_url(name)
