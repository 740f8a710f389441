"""`preferences demo`: a year that verifies, in a database that nobody can miss."""

from pathlib import Path

import psycopg
import pytest

from api.bootstrap import demo
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.settings import Settings
from tests.support.clusters import ReadyCluster
from tests.support.command import Command, one_sentence
from tests.support.daily_counts import wrong_counts
from tests.support.filled_log import Chance, put

LOOK = "To look at it: `preferences serve`, and sign in as user_demo of org_demo with the role admin."


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_the_year_is_in_the_log_in_its_order_and_everything_verifies(
    empty_database: str, folder: Path, monkeypatch, capsys
) -> None:
    # Given a year of three hundred users
    told: list[tuple[int, int]] = []
    settings = Settings(data_dir=folder / "data", database_url=None)
    filled = demo.fill(settings, empty_database, 300, 1, lambda *done: told.append(done), lambda *_: None)
    assert told[-1][0] == told[-1][1]
    assert (filled.organizations, 200 < filled.users <= 300) == (8, True)
    # then times rise along the log,
    topics = "SELECT topic, convert_from(state, 'UTF8')::jsonb #>> '{timestamp,_data_}' FROM preferences_events ORDER BY notification_id"
    events = run(empty_database, topics)
    assert len(events) == filled.events
    assert [at for _, at in events] == sorted(str(at) for _, at in events)
    assert {topic for topic, _ in events} == {
        f"notification-preferences.{kind}" for kind in ("catalogue-published", "opened", "toggled", "erased")
    }
    # the index is complete,
    assert run(empty_database, "SELECT position FROM followers") == run(
        empty_database, "SELECT max(notification_id) FROM preferences_events"
    )
    assert wrong_counts(empty_database) == []
    assert run(empty_database, "SELECT count(*) > 0 FROM audit_classes WHERE actor_kind = 'platform' AND enabled") == [
        (True,)
    ]
    # and all that there is verifies, by the commands.
    command = Command(folder / "data", empty_database)
    command.settings["database_storage"] = "durable"

    def inside(*arguments: str) -> list[str]:
        result = command.inside(monkeypatch, capsys, *arguments)
        assert result.returncode == 0, result
        return result.stdout.splitlines()

    verified = inside("audit", "verify")
    assert verified[-1] == "Nothing was altered."
    assert "  27 in the database" in verified
    assert inside("rebuild", "--compare-only")[-1] == "equal"
    assert inside("rebuild", "audit-index", "--compare-only")[-1] == "equal"
    assert inside("person-keys", "check")
    # Control: one event that is altered is found.
    run(
        empty_database,
        "UPDATE preferences_events SET topic = 'notification-preferences.opened' WHERE notification_id = "
        "(SELECT max(notification_id) FROM preferences_events WHERE topic LIKE '%toggled')",
    )
    assert command.inside(monkeypatch, capsys, "audit", "verify").returncode == 1


@pytest.fixture
def embedded(ready_cluster: ReadyCluster, folder: Path) -> Path:
    return ready_cluster.copy_to(folder / "data")


def test_only_a_database_that_nobody_can_miss_is_filled(embedded: Path, monkeypatch, capsys) -> None:
    command = Command(embedded)

    def fill() -> str:
        result = command.inside(monkeypatch, capsys, "demo", "--users", "20")
        if result.returncode:
            return one_sentence(result)
        assert result.stderr.splitlines()[-1] == LOOK
        return result.stdout

    with EmbeddedPostgres(embedded) as postgres:
        # Given a database in which a person has recorded something, then it is refused, and stays as it is.
        put(postgres.url, Chance(1).events(3))
        refused = fill()
        assert refused == f"the database in {embedded} has 3 events and 0 API keys that no demo made"
        assert run(postgres.url, "SELECT count(*) FROM preferences_events") == [(3,)]
        run(postgres.url, "TRUNCATE preferences_events")
        # One that is in use is refused, too.
        with psycopg.connect(postgres.url):
            assert fill() == f"the database in {embedded} is in use: stop the service first"
        # One without events of users is filled, and so is one that the demo filled, whatever was added since.
        assert "events of" in fill()
        before = run(postgres.url, "SELECT count(*) FROM preferences_events")
        put(postgres.url, Chance(1).events(3))
        assert "events of" in fill()
        assert run(postgres.url, "SELECT count(*) FROM preferences_events") == before


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"database_url": "postgresql://127.0.0.1:1/x"},
            "the demo fills the embedded database only: unset DATABASE_URL",
        ),
        (
            {"clerk_issuer": "https://clerk.example.com", "database_url": None},
            "the demo works in development mode only: unset the CLERK_ settings",
        ),
    ],
)
def test_what_is_not_for_development_is_refused(folder: Path, monkeypatch, capsys, settings, why: str) -> None:
    command = Command(folder / "data")
    assert one_sentence(command.inside(monkeypatch, capsys, "demo", **settings)) == why
    assert not (folder / "data").exists()


def test_checkpoints_of_another_log_are_kept(folder: Path, monkeypatch, capsys) -> None:
    file = folder / "checkpoints"
    file.write_text("something")
    refused = one_sentence(Command(folder / "data").inside(monkeypatch, capsys, "demo", checkpoint_file=file))
    assert refused == f"{file} has checkpoints of another log: unset CHECKPOINT_FILE"
    assert file.read_text() == "something"
