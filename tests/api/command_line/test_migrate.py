"""`preferences migrate`."""

import psycopg

from tests.support.command import Command, one_sentence


def applied(url: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT number, name FROM schema_migrations ORDER BY number").fetchall()


def test_an_empty_database_gets_its_schema_and_a_current_one_is_left_alone(folder, empty_database: str) -> None:
    migrate = Command(folder, empty_database)
    first = migrate("migrate")
    assert (first.returncode, first.stdout) == (0, "")
    assert "applying 0001_event_log" in first.stderr
    assert f"{len(applied(empty_database))} applied." in first.stderr
    before = applied(empty_database)

    again = migrate("migrate")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr.strip() == "The schema is up to date."
    assert applied(empty_database) == before


def test_two_at_once_apply_everything_once(folder, empty_database: str) -> None:
    command = Command(folder, empty_database)
    running = [command.start("migrate") for _ in range(2)]
    outcomes = [(*process.communicate(timeout=30), process.returncode) for process in running]
    assert [code for *_, code in outcomes] == [0, 0]
    said = sorted(error.strip().splitlines()[-1] for _, error, _ in outcomes)
    assert said[1] == "The schema is up to date."
    assert said[0] == f"{len(applied(empty_database))} applied."


def test_an_edited_migration_is_refused(preferences: Command, inside, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'edited' WHERE number = 1")
    said = one_sentence(inside("migrate"))
    assert said == "migration 0001_event_log was edited after it had been applied"
    assert said in one_sentence(preferences("serve", port=0))


def test_a_database_of_a_newer_release_is_refused(inside, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'later', 'x')")
    assert "9999" in one_sentence(inside("migrate"))


def test_a_database_that_is_gone_is_one_sentence(preferences: Command, inside) -> None:
    nowhere = {"database_url": "postgresql://127.0.0.1:1/nowhere", "port": 0}
    for words in (["migrate"], ["rebuild"], ["history", "--user", "user_ada"], ["api-keys", "list"], ["serve"]):
        said = one_sentence((preferences if words == ["serve"] else inside)(*words, **nowhere))
        assert "127.0.0.1" in said
        assert "refused" in said
