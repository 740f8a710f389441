"""The schema of a database, held to what the migrations of this release make."""

import re
from importlib.resources import files

import psycopg

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres.schema import differences
from tests.support.golden_schema import made_by_the_migrations
from tests.support.partitioned import one_table


def test_the_schema_that_a_database_is_held_to_is_what_the_migrations_make(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE golden")
    made = made_by_the_migrations(postgres.database_url("golden"))
    assert files("infrastructure.postgres").joinpath("schema.tsv").read_text() == made, "renew it with `make schema`"


ALTERATIONS = {
    "DROP INDEX preferences_events_notification_id_idx": r"index on preferences_events, .*\(notification_id\) is missing",
    "CREATE OR REPLACE FUNCTION append_events(batch json) RETURNS SETOF uuid LANGUAGE sql AS 'SELECT NULL::uuid'": r"function append_events\(batch json\) was replaced",
    "ALTER FUNCTION string_in(text, boolean, text) SET work_mem = '1MB'": r"function string_in\(.*\) was replaced",
    "ALTER TABLE followers ALTER paused DROP NOT NULL": "column followers.paused was replaced",
    "ALTER TABLE audit_reads DROP impersonator": "column audit_reads.impersonator is missing",
    "ALTER TABLE person_keys SET UNLOGGED": "table person_keys was replaced",
    "DROP VIEW events_with_keys": "view events_with_keys is missing",
    "ALTER TABLE followers DROP CONSTRAINT followers_position_check": r"constraint on followers, CHECK .* is missing",
    "CREATE RULE quiet AS ON INSERT TO preferences_events DO INSTEAD NOTHING": "rule preferences_events.quiet was added",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER t BEFORE INSERT ON preferences_events FOR EACH ROW EXECUTE FUNCTION f()": "trigger preferences_events.t was added",
}


@one_table
def test_what_was_altered_is_named_and_nothing_else(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in ALTERATIONS:
            connection.execute(statement)
    found = differences(database_url)
    for expected in ALTERATIONS.values():
        assert any(re.fullmatch(expected, difference) for difference in found), (expected, found)
    assert len(found) == len(ALTERATIONS)


@one_table
def test_what_an_operator_may_tune_or_add_is_no_difference(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE preferences_events SET (autovacuum_vacuum_cost_delay = 1)")
        connection.execute("CREATE TABLE of_their_own (n integer); CREATE INDEX ON audit_reads (at)")
        connection.execute("ALTER INDEX preferences_events_notification_id_idx RENAME TO another_name")
    assert differences(database_url) == []
