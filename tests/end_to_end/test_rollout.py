"""During a rollout a process of the older release starts anew, on a database that was migrated for the newer one."""

from collections.abc import Callable

import httpx
import psycopg
import pytest

from infrastructure.postgres import migrations
from tests.support.command import Command, one_sentence
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

NEWEST = max(migration.number for migration in migrations.available())


@pytest.fixture
def command(folder, database_url: str) -> Command:
    command = Command(folder / "data", database_url)
    assert command("migrate").returncode == 0
    return command


def migrate_for_the_next_release(url: str, *, leaves_working: int | None) -> None:
    """As that release does it: with a table that this one doesn't know."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE of_the_next_release (x integer)")
        connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum, leaves_working) VALUES (%s, 'next', 'x', %s)",
            [NEWEST + 1, leaves_working],
        )


def test_over_a_migration_that_leaves_it_working_it_starts_and_all_say_so(
    command: Command, database_url: str, serve: Callable[..., Server]
) -> None:
    migrate_for_the_next_release(database_url, leaves_working=NEWEST)
    server = serve(followers="on")
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    change = {"email": {"product_updates": False}}
    assert httpx.patch(f"{server.url}{PATH}", json=change, headers=bearer("user_ada")).status_code == 200
    for words in (
        ["check"],
        ["catalogue", "diff"],
        ["history", "--org", "org_math", "--user", "user_ada"],
        ["migrate"],
    ):
        result = command(*words)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("leaves_working", [None, NEWEST + 1])
def test_over_any_other_it_refuses_and_all_say_so(
    leaves_working: int | None, command: Command, database_url: str, serve: Callable[..., Server]
) -> None:
    """The control."""
    server = serve()
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    migrate_for_the_next_release(database_url, leaves_working=leaves_working)
    assert httpx.get(f"{server.url}/readyz").status_code == 503
    for words in (["serve"], ["catalogue", "diff"], ["migrate"]):
        assert f"migration {NEWEST + 1:04}" in one_sentence(command(*words, port=0))
    result = command("check")
    assert result.returncode == 1
    assert f"migration {NEWEST + 1:04}" in result.stdout
