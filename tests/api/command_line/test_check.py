"""`preferences check`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import httpx
import psycopg
import pytest

from domain.catalogue import CATALOGUE
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres import migrations
from tests.support.catalogues import publish
from tests.support.command import Command, Result, one_sentence
from tests.support.ledger import record
from tests.support.links import FORMER_SECRET, PUBLIC_URL, SECRET
from tests.support.older_server import saying
from tests.support.partitioned import one_table
from tests.support.positions import leave_sequence_behind
from tests.support.roles import Role
from tests.support.server import PATH, Server
from tests.support.tokens import ISSUER, bearer, public_pem


def verdicts(result: Result) -> dict[str, tuple[bool, str]]:
    """Each subject: whether it is well, and what was found."""
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert all(line.startswith(("✓", "✗")) for line in lines)
    return {line[2:14].strip(): (line[0] == "✓", line[14:].strip()) for line in lines}


def test_all_is_well(preferences: Command, database_url: str) -> None:
    asyncio.run(publish(database_url))
    result = preferences("check")
    found = verdicts(result)
    assert result.returncode == 0
    subjects = ["settings", "unsubscribe", "database", "migrations", "schema", "catalogue", "checkpoints", "key set"]
    assert list(found) == subjects
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
    production = {"clerk_issuer": ISSUER, "clerk_jwt_key": public_pem().replace("\n", "\\n")}
    links = {"unsubscribe_keys": f"{SECRET},{FORMER_SECRET}", "public_url": PUBLIC_URL}
    for settings, said in (
        ({}, "no links are made: PUBLIC_URL and UNSUBSCRIBE_KEYS are not both set"),
        (links, f"links lead to {PUBLIC_URL}/unsubscribe/; 2 keys open them"),
    ):
        result = preferences("check", **production, **settings)
        assert result.returncode == 0
        assert verdicts(result)["settings"] == (True, f"issuer {ISSUER}")
        assert verdicts(result)["unsubscribe"] == (True, said)


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


def test_with_pending_migrations_all_that_needs_no_new_schema_is_checked_all_the_same(
    preferences: Command, inside, database_url: str, empty_database: str, folder: Path
) -> None:
    # Given a log that was signed, a key that isn't the log's, and a database without a schema, or with an old one
    asyncio.run(publish(database_url))
    assert inside("audit", "checkpoint").returncode == 0
    published = folder / "data" / "checkpoints"
    elsewhere = folder / "elsewhere"
    assert inside("audit", "public-key", data_dir=elsewhere).returncode == 0
    (folder / "file").write_text("no checkpoints")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE number = 14")

    def checkpoints(url: str, **settings: object) -> tuple[bool, str]:
        result = preferences("check", database_url=url, **settings)
        found = verdicts(result)
        assert (result.returncode, found["migrations"][0]) == (1, False)
        assert "schema" not in found
        return found["checkpoints"]

    for url in (empty_database, database_url):
        # then `check` names a file that can't be written to,
        assert checkpoints(url, checkpoint_file=folder / "file" / "below") == (
            False,
            f"{folder / 'file'} can't be written to",
        )
        # and the wrong key, which the file shows where no table does.
        well, said = checkpoints(url, checkpoint_file=published, data_dir=elsewhere)
        assert (well, "AUDIT_SIGNING_KEY" in said) == (False, True)
        assert checkpoints(url)[0] is True
    well, said = checkpoints(database_url, checkpoint_file=folder / "new", data_dir=elsewhere)
    assert (well, "the last checkpoint in the database" in said) == (False, True)
    # The catalogue of an old schema is told, too.
    found = verdicts(preferences("check"))
    assert found["catalogue"] == (True, f"version {CATALOGUE.version} is published")
    # A standby is asked for a connection before there is a schema to compare.
    for standby, said in (
        ("postgresql://127.0.0.1:1/nowhere", "reads go to the primary: connection"),
        (empty_database, "unknown before the migrations are applied"),
    ):
        result = preferences("check", database_url=empty_database, read_database_url=standby)
        assert verdicts(result)["replica"][1].startswith(said)


def test_a_check_that_the_role_may_not_make_hides_no_other(
    preferences: Command, database_url: str, folder: Path
) -> None:
    role = Role(database_url)
    role.grant_as_documented()
    role.execute(f"REVOKE SELECT ON preferences_events FROM {role.name}")
    result = preferences("check", database_url=role.url, checkpoint_file=folder)
    found = verdicts(result)
    said = "the role lacks a right in the database: permission denied for table preferences_events"
    assert found["catalogue"] == (False, said)
    assert found["checkpoints"] == (False, f"{folder} can't be written to: Is a directory")


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


@one_table
def test_a_schema_that_is_not_what_the_migrations_make_is_told(preferences: Command, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP INDEX preferences_events_notification_id_idx")
    result = preferences("check")
    assert result.returncode == 1
    well, said = verdicts(result)["schema"]
    assert not well
    assert said.endswith("(notification_id) is missing")
    # Those who serve say so as well, and serve.
    with Server(database_url) as server:
        told = [line for line in server.log().splitlines() if b"the schema was altered" in line]
        assert len(told) == 1
        assert b'"level": "error"' in told[0] or b'"level":"error"' in told[0]


def test_after_a_rebuild_the_schema_is_the_same(preferences: Command) -> None:
    assert preferences("rebuild").returncode == 0
    assert verdicts(preferences("check"))["schema"] == (True, "as the migrations make it")


def test_a_postgresql_that_is_too_old_is_told_before_anything_is_migrated(
    preferences: Command, inside, empty_database: str
) -> None:
    with saying(empty_database, b"14.9") as url:
        result = preferences("check", database_url=url)
        assert result.returncode == 1
        assert verdicts(result)["database"] == (False, "PostgreSQL 14.9 is too old: version 15 or newer is needed")
        assert "14.9 is too old" in one_sentence(inside("migrate", database_url=url))
    # By the same way it is well when it says nothing else than it is.
    with saying(empty_database, b"15.9") as url:
        assert verdicts(preferences("check", database_url=url))["database"] == (True, "PostgreSQL 15.9")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_encoding_that_is_not_utf_8_is_told_before_anything_is_migrated(
    postgres: EmbeddedPostgres, preferences: Command, inside, encoding: str
) -> None:
    name = f"encoded_{encoding.lower()}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
    url = postgres.database_url(name)
    result = preferences("check", database_url=url)
    assert result.returncode == 1
    assert f"✗ database    its encoding is {encoding}: create it with ENCODING 'UTF8'" in result.stdout
    assert f"its encoding is {encoding}" in one_sentence(inside("migrate", database_url=url))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,)


def test_a_read_only_database_is_told(preferences: Command, database_url: str) -> None:
    result = preferences("check", database_url=f"{database_url}&options=-cdefault_transaction_read_only%3Don")
    assert result.returncode == 1
    assert "✗ database    it refuses writes: it is read-only" in result.stdout


@pytest.fixture(scope="module")
def careless() -> Iterator[EmbeddedPostgres]:
    """A server that doesn't wait for the disk."""
    with TemporaryDirectory(prefix="preferences-test-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), settings={"fsync": "off", "full_page_writes": "off"}) as postgres:
            migrations.migrate(postgres.url)
            asyncio.run(publish(postgres.url))
            yield postgres


def test_a_server_that_does_not_wait_for_the_disk_is_told_and_not_served_from_in_production(
    careless: EmbeddedPostgres, preferences: Command, inside
) -> None:
    production = {
        "database_url": careless.url,
        "clerk_issuer": ISSUER,
        "clerk_jwt_key": public_pem().replace("\n", "\\n"),
        "database_storage": None,
    }
    result = preferences("check", **production)
    assert result.returncode == 1
    assert "✗ database    fsync is off" in result.stdout
    assert "✗ database    full_page_writes is off" in result.stdout
    for command in (["serve"], ["follow"]):
        assert "fsync is off" in one_sentence(preferences(*command, port=0, **production))
    # Where the storage keeps it, an operator says so; and what only reads, or is being developed, does without.
    assert preferences("check", **{**production, "database_storage": "durable"}).returncode == 0
    assert inside("history", "--user", "user_ada", **production).returncode == 0
    with Server(careless.url, clerk_issuer=None, clerk_jwt_key=None), Server(careless.url, database_storage="durable"):
        pass


def test_a_place_for_checkpoints_that_can_not_be_written_to_is_told(preferences: Command, folder: Path) -> None:
    (folder / "file").write_text("no checkpoints")
    for place in (folder / "file" / "below", folder, folder / "file"):
        result = preferences("check", checkpoint_file=place)
        assert result.returncode == 1
        assert verdicts(result)["checkpoints"][0] is False
    assert (folder / "file").read_text() == "no checkpoints"
    assert verdicts(preferences("check", checkpoint_file=folder / "new" / "checkpoints"))["checkpoints"][0] is True
    assert not (folder / "new").exists()


def test_a_signing_key_or_an_origin_that_is_not_the_logs_is_told(
    preferences: Command, inside, database_url: str, folder: Path
) -> None:
    asyncio.run(publish(database_url))
    assert inside("audit", "checkpoint").returncode == 0
    assert preferences("check").returncode == 0
    elsewhere = folder / "elsewhere"
    # No key is made by looking,
    said = verdicts(preferences("check", data_dir=elsewhere))["checkpoints"]
    assert said == (False, "the log was signed, and there is no key here: set AUDIT_SIGNING_KEY")
    assert not (elsewhere / "audit").exists()
    # and another one, or another name, isn't this log's.
    assert inside("audit", "public-key", data_dir=elsewhere).returncode == 0
    for other in ({"data_dir": elsewhere}, {"audit_origin": "example.com/other"}):
        well, said = verdicts(preferences("check", **other))["checkpoints"]
        assert not well
        assert "AUDIT_ORIGIN" in said
    # Nor is one whose name has changed, though the key from before is known.
    renamed = {
        "audit_origin": "example.com/renamed",
        "audit_former_keys": inside("audit", "public-key").stdout.strip(),
    }
    assert verdicts(preferences("check", **renamed))["checkpoints"] == (
        False,
        "the last checkpoint in the database is one of notification-preferences: AUDIT_ORIGIN must be the name of this log",
    )


@pytest.mark.parametrize("path", ["prefs", "prefs,public"])
def test_a_schema_of_another_name_that_the_url_leads_to_is_used(
    inside, preferences: Command, empty_database: str, path: str
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA prefs")
    url = f"{empty_database}&options={quote(f'-csearch_path={path}')}"
    assert inside("migrate", database_url=url).returncode == 0
    assert preferences("check", database_url=url).returncode == 0
    with Server(url) as server:
        body = {"email": {"product_updates": False}}
        assert httpx.patch(f"{server.url}{PATH}", json=body, headers=bearer("user_ada")).status_code == 200
    assert inside("history", "--user", "user_ada", "--org", "org_math", database_url=url).returncode == 0
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM prefs.preferences_events").fetchone() == (3,)


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
