"""What the service finds of the rights of its role, before it needs them."""

import pytest

from infrastructure.log.readiness import readiness
from infrastructure.postgres import suitability
from infrastructure.postgres.connection import RightMissing
from infrastructure.postgres.database import Database
from tests.support.catalogues import publish
from tests.support.roles import Role

ALL = ("serve", "follow", "sign", "sweep")


@pytest.fixture
def role(database_url: str) -> Role:
    return Role(database_url)


def lacking(role: Role, *parts: str) -> list[str]:
    return [fault.sentence for fault in suitability.look_at(role.url, trusted=True, parts=parts).faults]


def test_the_documented_rights_are_all_that_are_needed(role: Role) -> None:
    role.grant_as_documented()
    assert lacking(role, *ALL) == []


@pytest.mark.parametrize(
    ("revoked", "part", "said"),
    [
        ("SELECT ON current_preferences", "serve", "SELECT on current_preferences"),
        ("INSERT ON person_keys, preferences_events", "serve", "INSERT on person_keys, preferences_events"),
        ("UPDATE ON current_preferences", "serve", "UPDATE on current_preferences"),
        ("UPDATE (count) ON audit_reads", "serve", "UPDATE on audit_reads.count"),
        (
            "USAGE ON SEQUENCE preferences_events_notification_id_seq",
            "serve",
            "USAGE on preferences_events_notification_id_seq",
        ),
        ("INSERT ON audit_entries", "follow", "INSERT on audit_entries"),
        ("UPDATE ON log_tiles", "sign", "UPDATE on log_tiles"),
        ("INSERT ON sweep_findings", "sweep", "INSERT on sweep_findings"),
    ],
)
def test_a_missing_right_is_named_for_the_part_that_uses_it(role: Role, revoked: str, part: str, said: str) -> None:
    role.grant_as_documented()
    role.execute(f"REVOKE {revoked} FROM {role.name}")
    assert lacking(role, part) == [
        f"the role {role.name} lacks {said}: grant them to it (docs/production.md, Two roles)"
    ]
    if part != "serve":
        assert lacking(role, "serve") == []


def test_a_function_that_not_everybody_may_execute_is_named(role: Role) -> None:
    role.grant_as_documented()
    role.execute("REVOKE EXECUTE ON FUNCTION append_events FROM PUBLIC")
    [sentence] = lacking(role, "serve")
    assert f"the role {role.name} lacks EXECUTE on append_events:" in sentence


def test_a_database_without_a_schema_lacks_no_right_but_migrations(empty_database: str) -> None:
    assert suitability.look_at(empty_database, trusted=True, parts=ALL).faults == []


async def test_a_process_is_not_ready_while_its_role_lacks_a_right_and_finds_out_by_itself_when_it_is_granted(
    role: Role, database_url: str
) -> None:
    await publish(database_url)
    role.grant_as_documented()
    role.execute(f"REVOKE INSERT ON person_keys FROM {role.name}", f"REVOKE INSERT ON audit_entries FROM {role.name}")
    async with Database(role.url, size=1) as database:
        found = await readiness(database)
        # What only the followers need doesn't matter here.
        assert found.database == f"the role {role.name} lacks INSERT on person_keys"
        assert found.applied
        role.execute(f"GRANT INSERT ON person_keys TO {role.name}")
        assert (await readiness(database)).database is None


async def test_a_role_that_may_not_even_read_the_migrations_is_told_so(role: Role) -> None:
    role.grant_as_documented()
    role.execute(f"REVOKE SELECT ON schema_migrations FROM {role.name}")
    async with Database(role.url, size=1) as database:
        said = "the role lacks a right in the database: permission denied for table schema_migrations"
        assert (await readiness(database)).database == said


async def test_a_refused_statement_is_an_error_of_ours_with_one_line(role: Role) -> None:
    role.grant_as_documented()
    role.execute(f"REVOKE SELECT ON current_preferences FROM {role.name}")
    async with Database(role.url, size=1) as database:
        with pytest.raises(RightMissing) as caught:
            await database.fetch("SELECT append_events('{}'::json), 1 FROM current_preferences")
        assert (
            str(caught.value)
            == "the role lacks a right in the database: permission denied for table current_preferences"
        )
