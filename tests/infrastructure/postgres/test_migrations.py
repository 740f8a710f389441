import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from infrastructure.postgres import migrations, table_changes
from infrastructure.postgres.migrations import Migration, MigrationError
from tests.support.former_schema import migrate_up_to


def test_an_empty_database_is_brought_up_to_date_once(empty_database: str) -> None:
    assert migrations.status(empty_database) == f"{len(migrations.available())} not applied: run `preferences migrate`"
    assert migrations.migrate(empty_database) == migrations.available()
    assert migrations.migrate(empty_database) == []
    assert migrations.status(empty_database) is None


def test_several_that_migrate_at_once_do_it_once(empty_database: str) -> None:
    applied: list[Migration] = []
    threads = [threading.Thread(target=lambda: applied.extend(migrations.migrate(empty_database))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert applied == migrations.available()


def test_an_edited_migration_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'another' WHERE number = 1")
    with pytest.raises(MigrationError, match="0001_event_log was edited"):
        migrations.migrate(database_url)


def test_a_database_from_a_later_release_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 'x')")
    with pytest.raises(MigrationError, match="too old to know it"):
        migrations.migrate(database_url)


def release_with(monkeypatch: pytest.MonkeyPatch, *later: Migration) -> None:
    """From here on this release carries these migrations, too."""
    carried = [migration for migration in KNOWN if migration.number < LATER]
    monkeypatch.setattr(migrations, "available", lambda: [*carried, *later])


KNOWN = migrations.available()
NEWEST = KNOWN[-1].number
LATER = NEWEST + 1
ADDITIVE = Migration(LATER, "later", f"-- leaves-working: {NEWEST:04}\nCREATE TABLE later (x int)")
ALSO_ADDITIVE = Migration(LATER + 1, "latest", f"-- leaves-working: {NEWEST:04}\nCREATE TABLE latest (x int)")
BREAKING = Migration(LATER + 1, "latest", f"-- leaves-working: {LATER:04}\nDROP TABLE later")
SILENT = Migration(LATER + 1, "latest", "DROP TABLE later")


def test_an_older_release_works_with_a_database_whose_newer_migrations_leave_it_working(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_with(monkeypatch, ADDITIVE, ALSO_ADDITIVE)
    assert migrations.migrate(database_url) == [ADDITIVE, ALSO_ADDITIVE]
    for older in ([ADDITIVE], []):
        release_with(monkeypatch, *older)
        assert migrations.status(database_url) is None
        assert migrations.migrate(database_url) == []


@pytest.mark.parametrize("latest", [BREAKING, SILENT], ids=["breaking", "silent"])
def test_it_refuses_one_that_has_a_migration_that_does_not(
    latest: Migration, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    release_with(monkeypatch, ADDITIVE, latest)
    migrations.migrate(database_url)
    assert migrations.status(database_url) is None
    release_with(monkeypatch)
    assert f"the database has migration {LATER + 1:04}" in str(migrations.status(database_url))
    with pytest.raises(MigrationError, match="too old"):
        migrations.migrate(database_url)
    # The release between the two works where the last one says so.
    release_with(monkeypatch, ADDITIVE)
    assert (migrations.status(database_url) is None) == (latest is BREAKING)


def test_a_migration_of_its_own_that_is_missing_is_told_beside_newer_ones(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_with(monkeypatch, ADDITIVE)
    migrations.migrate(database_url)
    release_with(monkeypatch)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE number = %s", [NEWEST])
    assert migrations.status(database_url) == "1 not applied: run `preferences migrate`"


def test_a_table_of_an_earlier_release_is_read_as_it_is_and_then_brought_up_to_date(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a database whose table doesn't say which releases are left working
    migrate_up_to(empty_database, NEWEST)
    assert migrations.status(empty_database) is None
    # when a later release migrates it, while somebody holds the table,
    release_with(monkeypatch, ADDITIVE)
    monkeypatch.setattr(table_changes, "PAUSE", 0.1)
    with ThreadPoolExecutor(1) as elsewhere:
        with psycopg.connect(empty_database) as dump:
            dump.execute("SELECT count(*) FROM schema_migrations")
            applied = elsewhere.submit(migrations.migrate, empty_database)
            for _ in range(5):
                with psycopg.connect(empty_database, options="-c statement_timeout=900ms") as reader:
                    reader.execute("SELECT count(*) FROM schema_migrations")
            assert not applied.done()
        # then it says so from now on.
        assert applied.result() == [ADDITIVE]
    release_with(monkeypatch)
    assert migrations.status(empty_database) is None


def test_each_migration_says_which_releases_it_leaves_working_and_the_one_before_it_is_among_them() -> None:
    unsaid = [migration.name for migration in KNOWN if migration.number > 7 and migration.leaves_working is None]
    assert unsaid == []
    # All of one release may say the same number: the last one of the release before it.
    for migration in KNOWN:
        assert migration.leaves_working is None or 7 <= migration.leaves_working < migration.number


def test_a_migration_that_fails_leaves_nothing_of_itself(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Migration(9998, "broken", "CREATE TABLE half (x int); SELECT 1 / 0")
    known = migrations.available()
    monkeypatch.setattr(migrations, "available", lambda: [*known, broken])
    with pytest.raises(psycopg.Error):
        migrations.migrate(empty_database)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM schema_migrations").fetchone() == (len(known),)


@pytest.fixture
def changing_the_table(monkeypatch: pytest.MonkeyPatch) -> Migration:
    """A migration that is still to come, and that nobody may read the preferences beside."""
    migration = Migration(9998, "later", "ALTER TABLE current_preferences ADD COLUMN later integer")
    known = migrations.available()
    monkeypatch.setattr(migrations, "available", lambda: [*known, migration])
    monkeypatch.setattr(table_changes, "PAUSE", 0.3)
    return migration


def test_a_migration_waits_for_whoever_holds_its_table_and_makes_nobody_wait(
    database_url: str, changing_the_table: Migration
) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'preferences migrate' AND wait_event = 'relation'"
    with ThreadPoolExecutor(1) as elsewhere, psycopg.connect(database_url, autocommit=True) as user:
        with psycopg.connect(database_url) as dump:
            dump.execute("SELECT count(*) FROM current_preferences")
            applied = elsewhere.submit(migrations.migrate, database_url)
            for _ in range(2):
                while user.execute(waits).fetchone() == (0,):
                    assert not applied.done()
                # For no longer than a request has.
                user.execute("SET statement_timeout = '900ms'")
                user.execute("SELECT count(*) FROM current_preferences")
                assert not applied.done()
        assert applied.result() == [changing_the_table]
    assert migrations.status(database_url) is None


def test_a_table_that_nobody_lets_go_of_is_a_sentence(
    database_url: str, changing_the_table: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_changes, "ATTEMPTS", 2)
    with psycopg.connect(database_url) as dump:
        dump.execute("SELECT count(*) FROM current_preferences")
        with pytest.raises(MigrationError, match="9998_later couldn't have its tables"):
            migrations.migrate(database_url)
    assert migrations.migrate(database_url) == [changing_the_table]


def test_migrations_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in migrations.available()] == list(range(1, len(migrations.available()) + 1))
