"""`preferences check`."""

import asyncio

import psycopg
import pytest

from domain.catalogue import CATALOGUE
from infrastructure import migrations
from tests.support.catalogues import publish
from tests.support.command import Command, Result
from tests.support.ledger import record
from tests.support.positions import leave_sequence_behind
from tests.support.tokens import ISSUER, public_pem


def verdicts(result: Result) -> dict[str, tuple[bool, str]]:
    """Each subject: whether it is well, and what was found."""
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert all(line.startswith(("✓", "✗")) for line in lines)
    return {line[2:13].strip(): (line[0] == "✓", line[13:].strip()) for line in lines}


def test_all_is_well(preferences: Command, database_url: str) -> None:
    asyncio.run(publish(database_url))
    result = preferences("check")
    found = verdicts(result)
    assert result.returncode == 0
    assert list(found) == ["settings", "database", "migrations", "catalogue", "key set"]
    assert all(well for well, _ in found.values())
    assert found["settings"][1] == "development mode"
    assert found["database"][1].startswith("PostgreSQL 18.")


def test_a_sequence_that_is_behind_is_told_to_be_harmless_and_set_forward_by_migrate(
    preferences: Command, database_url: str
) -> None:
    asyncio.run(publish(database_url))
    asyncio.run(record(database_url, 5))
    leave_sequence_behind(database_url, 2)
    said = "the sequence stands at 2 and the log ends at 6: harmless; `preferences migrate` sets it forward"
    result = preferences("check")
    assert (result.returncode, verdicts(result)["positions"]) == (0, (True, said))
    assert "set the sequence of positions forward to the end of the log, 6" in preferences("migrate").stderr
    assert "positions" not in verdicts(preferences("check"))


def test_with_clerk_all_is_well_too(preferences: Command, database_url: str) -> None:
    asyncio.run(publish(database_url))
    result = preferences("check", clerk_issuer=ISSUER, clerk_jwt_key=public_pem().replace("\n", "\\n"))
    assert result.returncode == 0
    assert verdicts(result)["settings"] == (True, f"issuer {ISSUER}")


def test_wrong_settings_are_told_all_together(preferences: Command) -> None:
    result = preferences("check", port="many", log_level="loud", clerk_issuer="http://clerk.example", database_url="x")
    well, said = verdicts(result)["settings"]
    assert (result.returncode, well) == (1, False)
    for name in ("PORT", "LOG_LEVEL", "CLERK_ISSUER", "DATABASE_URL"):
        assert name in said


def test_pending_migrations_are_told_with_what_to_do(preferences: Command, empty_database: str) -> None:
    result = preferences("check", database_url=empty_database)
    found = verdicts(result)
    assert result.returncode == 1
    assert found["database"][0] is True
    assert found["migrations"] == (False, f"{len(migrations.available())} not applied: run `preferences migrate`")

    assert found["catalogue"] == (False, "unknown before the migrations are applied")


def test_a_catalogue_that_is_not_published_is_told_with_what_to_do(preferences: Command) -> None:
    result = preferences("check")
    assert result.returncode == 1
    assert verdicts(result)["catalogue"] == (
        False,
        f"version {CATALOGUE.version} is not published: run `preferences migrate`",
    )


def test_an_edited_migration_is_told(preferences: Command, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'edited' WHERE number = 2")
    result = preferences("check")
    assert result.returncode == 1
    assert verdicts(result)["migrations"] == (False, "migration 0002_api_keys was edited after it had been applied")


def test_what_is_unreachable_is_told_for_each(preferences: Command) -> None:
    result = preferences("check", database_url="postgresql://127.0.0.1:1/nowhere", clerk_issuer="http://127.0.0.1:1")
    found = verdicts(result)
    assert result.returncode == 1
    assert found["settings"][0] is True
    assert found["database"][0] is False
    assert "refused" in found["database"][1]
    assert found["key set"] == (False, "no usable key at http://127.0.0.1:1/.well-known/jwks.json")


@pytest.mark.parametrize(
    ("settings", "subject"),
    [({"clerk_issuer": ISSUER, "clerk_jwt_key": "no PEM"}, "settings"), ({"data_dir": "/dev/null"}, "key set")],
    ids=["no PEM", "no folder"],
)
def test_a_key_that_is_none_is_told(preferences: Command, settings, subject: str) -> None:
    result = preferences("check", **settings)
    assert result.returncode == 1
    assert verdicts(result)[subject][0] is False


def test_the_embedded_database_is_checked_where_none_is_configured(preferences: Command) -> None:
    result = preferences("check", database_url=None)
    found = verdicts(result)
    assert result.returncode == 1
    assert found["database"][0] is True
    assert found["migrations"][0] is False
    assert preferences("migrate", database_url=None).returncode == 0
    assert preferences("check", database_url=None).returncode == 0
