"""`preferences audit export` and `preferences audit reads`."""

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.command import Command, one_sentence
from tests.support.events import ADA
from tests.support.filled_log import Chance, put, take_in

SEED = 20260306


@pytest.fixture
def filled(database_url: str) -> None:
    put(database_url, Chance(SEED).events(2500))
    asyncio.run(take_in(database_url))


def readings(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        statement = "SELECT reader, reader_stream, action, filter, count, outcome FROM audit_reads ORDER BY id"
        return connection.execute(statement).fetchall()


@pytest.mark.usefixtures("filled")
def test_an_export_is_a_file_with_every_entry_and_is_recorded(
    preferences: Command, inside, database_url: str, folder: Path
) -> None:
    file = folder / "audit.ndjson"
    result = preferences("audit", "export", "--org", "org_math", "-o", str(file), "--payload")
    assert (result.returncode, result.stdout) == (0, "")
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    with psycopg.connect(database_url) as connection:
        [(expected,)] = connection.execute(
            "SELECT count(*) FROM audit_entries JOIN audit_classes USING (class) "
            "WHERE organization = 'org_math' AND action <> 'notification_preferences.open'"
        ).fetchall()
    assert len(entries) == len({entry["id"] for entry in entries}) == expected > 500
    assert f"{expected} entries in {file}" in result.stderr
    assert "Complete with everything that was recorded until 20" in result.stderr
    assert all("payload" in entry for entry in entries)

    rows = folder / "audit.csv"
    assert inside("audit", "export", "--org", "org_math", "--format", "csv", "-o", str(rows)).returncode == 0
    with rows.open(newline="") as opened:
        assert [row["id"] for row in csv.DictReader(opened)] == [entry["id"] for entry in entries]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["audit.csv", "audit.ndjson"]

    assert readings(database_url) == [
        ("operator", None, "audit_log.export", {"format": "ndjson", "payload": True}, expected, "complete"),
        ("operator", None, "audit_log.export", {"format": "csv"}, expected, "complete"),
    ]


@pytest.mark.usefixtures("filled")
def test_an_export_is_for_its_owner_alone_whatever_stood_in_its_place(inside, folder: Path) -> None:
    file, taken, left, link = (folder / name for name in ("new", "taken", "left", "link"))
    for open_to_all in (taken, folder / "left.part"):
        open_to_all.write_text("somebody's, and readable by all")
        open_to_all.chmod(0o644)
    link.symlink_to(taken)
    for target in (file, taken, left, link):
        assert inside("audit", "export", "--org", "org_math", "-o", str(target)).returncode == 0
        assert target.stat().st_mode & 0o777 == 0o600
        assert target.read_bytes() == file.read_bytes() != b""
    assert link.is_symlink()


@pytest.mark.usefixtures("filled")
def test_an_export_into_a_pipe_leaves_the_pipe(preferences: Command, folder: Path) -> None:
    result = preferences("audit", "export", "--org", "org_math", "-o", "/proc/self/fd/1")
    assert result.returncode == 0
    assert result.stdout == preferences("audit", "export", "--org", "org_math").stdout != ""


@pytest.mark.usefixtures("filled")
def test_every_filter_is_obeyed(preferences: Command, database_url: str) -> None:
    words = "--user user_ada --actor-kind customer --channel email --toggle product_updates --disabled --source api"
    times = "--since 2026-03-03T12:00:05Z --until 2026-03-03T13:00:50+01:00 --action notification_preferences.toggle"
    result = preferences("audit", "export", "--org", "org_math", "--payload", *words.split(), *times.split())
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert entries
    for entry in entries:
        assert entry["resource"]["id"] == entry["actor"]["label"] == "user_ada"
        after = {"channel": "email", "toggle": "product_updates", "enabled": False}
        assert entry["payload"]["after"] == after
        assert "2026-03-03T12:00:05Z" <= entry["occurred_at"] < "2026-03-03T12:00:50Z"
    [(_, _, _, asked, count, _)] = readings(database_url)
    assert count == len(entries)
    assert asked == {
        "format": "ndjson",
        "payload": True,
        "action": "notification_preferences.toggle",
        "resource_stream": str(ADA),
        "actor_kind": "customer",
        "channel": "email",
        "toggle": "product_updates",
        "enabled": False,
        "source": "api",
        "since": "2026-03-03T12:00:05+00:00",
        "until": "2026-03-03T12:00:50+00:00",
    }


def test_an_export_that_fails_leaves_no_file_behind_and_no_older_one_changed(
    preferences: Command, inside, database_url: str, folder: Path
) -> None:
    file = folder / "audit.ndjson"
    file.write_text("an older one")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_entries RENAME TO gone")
    result = inside("audit", "export", "--org", "org_math", "-o", str(file))
    assert result.returncode == 1
    assert 'relation "audit_entries" does not exist' in result.stderr
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["audit.ndjson"]
    assert file.read_text() == "an older one"


@pytest.mark.usefixtures("filled")
def test_an_event_that_is_missing_is_said_and_no_file_is_left(inside, database_url: str, folder: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        [(missing,)] = connection.execute(
            "SELECT position FROM audit_entries JOIN audit_classes USING (class) "
            "WHERE organization = 'org_math' AND action = 'notification_preferences.toggle' LIMIT 1"
        ).fetchall()
        connection.execute("DELETE FROM preferences_events WHERE notification_id = %s", [missing])
    result = inside("audit", "export", "--org", "org_math", "-o", str(folder / "audit.ndjson"))
    assert (result.returncode, result.stdout) == (1, "")
    assert f"the log has no event at position {missing}, where the audit log has an entry" in result.stderr
    assert "Complete" not in result.stderr
    assert [path.name for path in folder.iterdir() if path.is_file()] == []
    [(*_, outcome)] = readings(database_url)
    assert outcome == "aborted"


def test_before_anything_was_taken_in_that_is_said(inside) -> None:
    result = inside("audit", "export", "--org", "org_math")
    assert (result.returncode, result.stdout) == (0, "")
    assert "0 entries" in result.stderr
    assert "Nothing was ever taken into the audit log" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "2026-03-03"], "must be a date and time with a zone"),
        (["--since", "2026-03-03T12:00:00Z", "--until", "2026-03-03T11:00:00Z"], "since: must not be after until"),
        (["--source", "fax"], "is not one of"),
        (["--format", "xml"], "is not one of"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_misspelt(nowhere: Command, monkeypatch, capsys, words: list[str], said: str) -> None:
    result = nowhere.inside(monkeypatch, capsys, "audit", "export", "--org", "org_math", *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--toggle", "product_news"], "toggle: unknown toggle"),
        (["--channel", "pigeon"], "channel: unknown channel"),
    ],
    ids=str,
)
def test_a_word_that_no_published_catalogue_had_is_misspelt(inside, words: list[str], said: str) -> None:
    result = inside("audit", "export", "--org", "org_math", *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_a_database_that_isnt_there_is_one_sentence(nowhere: Command, monkeypatch, capsys) -> None:
    for words in (["export"], ["reads"]):
        one_sentence(nowhere.inside(monkeypatch, capsys, "audit", *words, "--org", "org_math"))


@pytest.mark.usefixtures("filled")
def test_the_readings_of_an_organization_are_listed_newest_first(preferences: Command, inside) -> None:
    inside("audit", "export", "--org", "org_math", "--toggle", "product_updates")
    inside("audit", "export", "--org", "org_chess", "--format", "csv")
    inside("audit", "export", "--org", "org_math", "--user", "user_ada")
    shown = preferences("audit", "reads", "--org", "org_math")
    assert (shown.returncode, shown.stderr) == (0, "")
    newest, first = [line for line in shown.stdout.splitlines() if "operator" in line]
    assert f"resource_stream={ADA}" in newest
    assert "toggle=product_updates" in first
    assert "complete" in first
    listed = [json.loads(line) for line in inside("audit", "reads", "--org", "org_math", "--json").stdout.splitlines()]
    assert [one["filter"] for one in listed] == [
        {"format": "ndjson", "resource_stream": str(ADA)},
        {"format": "ndjson", "toggle": "product_updates"},
    ]
    assert len(inside("audit", "reads", "--org", "org_math", "--json", "--limit", "1").stdout.splitlines()) == 1
    nobody = inside("audit", "reads", "--org", "org_of_nobody")
    assert (nobody.returncode, nobody.stderr.strip()) == (0, "No reading is recorded.")
