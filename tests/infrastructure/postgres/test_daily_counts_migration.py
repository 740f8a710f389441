"""The migration to daily counts, of a database whose index was made by the release before."""

import psycopg
import pytest

from infrastructure.postgres import migrations
from tests.support.daily_counts import wrong_counts
from tests.support.filled_log import Chance, put, take_in
from tests.support.former_schema import migrate_up_to


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("events", [0, 400])
async def test_what_the_index_has_is_counted_and_what_it_takes_in_afterwards(empty_database: str, events: int) -> None:
    migrate_up_to(empty_database, 11)
    chance = Chance(20261130, seconds=9 * 86_400)
    if events:
        put(empty_database, chance.events(events))
        await take_in(empty_database)
    before = run(empty_database, "SELECT * FROM followers")
    migrations.migrate(empty_database)
    assert run(empty_database, "SELECT * FROM followers") == before
    assert run(empty_database, "SELECT after, up_to FROM audit_uncounted") == [(events, events)]
    assert wrong_counts(empty_database) == []
    put(empty_database, chance.events(50))
    await take_in(empty_database)
    assert wrong_counts(empty_database) == []
    [(counted, entries)] = run(
        empty_database,
        "SELECT (SELECT coalesce(sum(entries), 0) FROM audit_daily_counts), (SELECT count(*) FROM audit_entries)",
    )
    assert counted == entries
    assert entries > 0


async def test_the_roles_that_follow_the_log_may_count_at_once(empty_database: str) -> None:
    migrate_up_to(empty_database, 11)
    run(empty_database, "GRANT SELECT, INSERT, UPDATE ON followers TO pg_monitor")
    migrations.migrate(empty_database)
    for table in ("audit_daily_counts", "audit_uncounted"):
        for right in ("SELECT", "INSERT", "UPDATE"):
            assert run(empty_database, f"SELECT has_table_privilege('pg_monitor', '{table}', '{right}')") == [(True,)]
