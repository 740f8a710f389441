"""`preferences audit`: the key, checkpoints, verification."""

import json
import re
from pathlib import Path
from typing import IO

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infrastructure.evidence.signed_note import VerifierKey
from tests.support.command import Command, one_sentence
from tests.support.evidence import write_log


def pem() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_the_public_key_is_that_of_the_data_directory_and_stays(nowhere: Command, monkeypatch, capsys) -> None:
    first, second = (nowhere.inside(monkeypatch, capsys, "audit", "public-key") for _ in range(2))
    assert first.stdout == second.stdout
    assert VerifierKey.parse(first.stdout.strip()).name == "notification-preferences"
    key = nowhere.settings["data_dir"] / "audit" / "signing-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_key_from_the_settings_wins_also_on_one_line(nowhere: Command, monkeypatch, capsys) -> None:
    settings = {"audit_signing_key": pem().replace("\n", "\\n"), "audit_origin": "example.com/log"}
    result = nowhere.inside(monkeypatch, capsys, "audit", "public-key", **settings)
    assert VerifierKey.parse(result.stdout.strip()).name == "example.com/log"
    assert not (nowhere.settings["data_dir"] / "audit").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"audit_signing_key": "x"}, "AUDIT_SIGNING_KEY must be a private Ed25519 key"),
        ({"audit_former_keys": "x+y+z"}, "AUDIT_FORMER_KEYS 'x+y+z' is not a public key"),
        ({"audit_origin": "two words"}, "AUDIT_ORIGIN"),
        ({"checkpoint_interval": "-1"}, "CHECKPOINT_INTERVAL must be greater"),
    ],
)
def test_unusable_settings_are_one_sentence(settings, sentence: str, nowhere: Command, monkeypatch, capsys) -> None:
    result = nowhere.inside(monkeypatch, capsys, "audit", "public-key", **settings)
    assert one_sentence(result).startswith(sentence)


def test_a_file_that_holds_another_key_is_refused(nowhere: Command, monkeypatch, capsys) -> None:
    folder = nowhere.settings["data_dir"] / "audit"
    folder.mkdir(parents=True)
    (folder / "signing-key.pem").write_text("x")
    assert "holds no private Ed25519 key" in one_sentence(nowhere.inside(monkeypatch, capsys, "audit", "public-key"))


def test_an_untouched_log_verifies_and_says_how_far_it_is_signed(
    preferences: Command, inside, database_url: str
) -> None:
    last = write_log(database_url, 300)[-1]
    signed = inside("audit", "checkpoint")
    assert re.fullmatch(rf"300 events, up to position {last}, root [0-9a-f]{{64}}\n", signed.stdout)
    assert inside("audit", "checkpoint").stdout == ""
    end = write_log(database_url, 20, first=last + 1, seed=1)[-1]

    result = preferences("audit", "verify", "--log-only")
    assert result.returncode == 0
    assert "verifying the log" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"320 events, up to position {end}"
    assert re.fullmatch(
        rf"300 of them, up to position {last}, are as signed on .* UTC \(1 checkpoint in agreement\)", lines[1]
    )
    file = preferences.settings["data_dir"] / "checkpoints"
    assert lines[2:4] == [f"  1 in {file}", "  1 in the database"]
    assert lines[4:] == ["20 events not covered by a checkpoint yet", "Nothing was altered."]


def test_what_was_altered_is_named_and_nothing_more_is_signed(inside, database_url: str) -> None:
    positions = write_log(database_url, 300)
    inside("audit", "checkpoint")
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM preferences_events WHERE notification_id = %s", [positions[290]])
    result = inside("audit", "verify", "--log-only")
    assert result.returncode == 1
    assert f"  position {positions[290]} is missing" in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1] == "The log was altered."
    assert "is not what it was at the last checkpoint" in one_sentence(inside("audit", "checkpoint"))


def test_a_doctored_tree_is_not_called_an_altered_log(inside, database_url: str) -> None:
    write_log(database_url, 300)
    inside("audit", "checkpoint")
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM log_tiles WHERE level = 1")
    result = inside("audit", "verify", "--log-only")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "What is kept beside the log as evidence isn't whole."


def test_a_third_party_verifies_with_a_key_and_a_file_of_its_own(inside, database_url: str, folder) -> None:
    write_log(database_url, 30)
    inside("audit", "checkpoint")
    key = inside("audit", "public-key").stdout.strip()
    copy = folder / "copy"
    copy.write_bytes((folder / "data" / "checkpoints").read_bytes())
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE checkpoints")
    elsewhere = {"data_dir": folder / "elsewhere"}
    assert inside("audit", "verify", "--log-only", "--checkpoint", str(copy), "--key", key, **elsewhere).returncode == 0
    assert inside("audit", "verify", "--log-only", "--key", key, **elsewhere).returncode == 1
    for arguments, sentence in (
        (["--checkpoint", "missing", "--key", key], "error: missing: No such file or directory"),
        (["--key", "x"], "error: 'x' is not a public key of the form name+hash+key"),
        ([], "error: there is no key here to verify with: name one with --key"),
    ):
        result = inside("audit", "verify", "--log-only", *arguments, **elsewhere)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.splitlines()[-1] == sentence


@pytest.fixture
def restored(inside, database_url: str, folder) -> Path:
    """An older copy of all that is in the database was put back. The file of checkpoints, which knows more."""
    tables = ("preferences_events", "log_tiles", "checkpoints")
    last = write_log(database_url, 30)[-1]
    inside("audit", "checkpoint")
    with psycopg.connect(database_url) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE older_{table} AS TABLE {table}")
    write_log(database_url, 30, first=last + 1, seed=1)
    inside("audit", "checkpoint")
    with psycopg.connect(database_url) as connection:
        for table in tables:
            connection.execute(f"TRUNCATE {table}")
            connection.execute(f"INSERT INTO {table} TABLE older_{table}")
    return folder / "data" / "checkpoints"


def test_a_restored_older_copy_is_told_by_the_file_alone(inside, restored: Path) -> None:
    for arguments in ([], ["--database-only"]):
        result = inside("audit", "verify", "--log-only", *arguments)
        assert result.returncode == 1
        assert "the log has 30 events" in result.stdout
        assert "no checkpoint outside" not in result.stdout
        assert result.stdout.splitlines()[-1] == "The log was altered."


@pytest.mark.parametrize("lacking", ["isn't there", "has none"])
def test_without_the_file_it_is_said_that_a_restored_older_copy_could_not_be_told(
    lacking: str, inside, restored: Path
) -> None:
    restored.unlink()
    if lacking == "has none":
        restored.touch()
    sentence = (
        f"  no checkpoint outside of the database: {restored} {lacking}, so a restored older copy could not be told"
    )
    result = inside("audit", "verify", "--log-only")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-2:] == [sentence, "What is kept beside the log as evidence isn't whole."]
    result = inside("audit", "verify", "--log-only", "--database-only")
    assert result.returncode == 0
    assert result.stdout.splitlines()[-2:] == [sentence, "Nothing was altered."]


def test_who_does_without_the_file_is_told_of_everything_else(inside, restored: Path, database_url: str) -> None:
    restored.unlink()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "DELETE FROM preferences_events WHERE notification_id = (SELECT max(notification_id) FROM preferences_events)"
        )
    result = inside("audit", "verify", "--log-only", "--database-only")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "The log was altered."


def test_a_new_key_goes_on_where_the_former_one_is_known(inside, database_url: str) -> None:
    last = write_log(database_url, 30)[-1]
    inside("audit", "checkpoint")
    former = inside("audit", "public-key").stdout.strip()
    write_log(database_url, 30, first=last + 1, seed=1)
    settings = {"audit_signing_key": pem()}
    for command in (["checkpoint"], ["bundle", "--user", "user_ada", "-o", "bundle"]):
        sentence = one_sentence(inside("audit", *command, **settings))
        assert sentence.startswith(f"the last checkpoint in the database was signed with {name_of(former)}, and")
        assert "name the former one in AUDIT_FORMER_KEYS" in sentence
    result = inside("audit", "verify", "--log-only", **settings)
    assert result.returncode == 1
    assert f"  checkpoint 1 of the database was signed with {name_of(former)}, and the keys" in result.stdout
    assert "The settings are those of another log or key" in result.stdout.splitlines()[-1]
    assert "altered" not in result.stdout
    settings["audit_former_keys"] = former
    assert inside("audit", "checkpoint", **settings).returncode == 0
    result = inside("audit", "verify", "--log-only", **settings)
    assert result.returncode == 0
    assert "2 checkpoints in agreement" in result.stdout


def test_another_origin_is_a_mistake_in_the_settings(inside, database_url: str) -> None:
    last = write_log(database_url, 30)[-1]
    inside("audit", "checkpoint")
    write_log(database_url, 30, first=last + 1, seed=1)
    settings = {"audit_origin": "example.com/renamed"}
    difference = "is one of notification-preferences, and AUDIT_ORIGIN, or the name of the key, is example.com/renamed"
    assert (
        one_sentence(inside("audit", "checkpoint", **settings)) == f"the last checkpoint in the database {difference}"
    )
    result = inside("audit", "verify", "--log-only", **settings)
    assert result.returncode == 1
    assert f"  checkpoint 1 of the database {difference}" in result.stdout.splitlines()
    assert "The settings are those of another log or key" in result.stdout.splitlines()[-1]
    assert inside("audit", "verify", "--log-only").returncode == 0


def test_an_altered_log_is_called_so_whatever_the_settings_are(inside, database_url: str) -> None:
    positions = write_log(database_url, 300)
    inside("audit", "checkpoint")
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM preferences_events WHERE notification_id = %s", [positions[290]])
    settings = {"audit_origin": "example.com/renamed"}
    assert inside("audit", "verify", "--log-only", **settings).stdout.splitlines()[-1] == "The log was altered."
    assert "is not what it was at the last checkpoint" in one_sentence(inside("audit", "checkpoint", **settings))


@pytest.mark.parametrize("mistake", ["origin", "key"])
def test_beside_the_followers_a_mistake_in_the_settings_is_an_error_and_no_alarm(
    mistake: str, preferences: Command, inside, database_url: str
) -> None:
    last = write_log(database_url, 30)[-1]
    inside("audit", "checkpoint")
    write_log(database_url, 30, first=last + 1, seed=1)
    settings = {"audit_origin": "example.com/renamed"} if mistake == "origin" else {"audit_signing_key": pem()}
    with preferences.start("follow", sweep_within=0, checkpoint_interval=1, **settings) as running:
        assert running.stderr is not None
        said: list[str] = []
        try:
            for _ in range(2):
                said += up_to(running.stderr, "the settings don't fit the checkpoints: nothing is signed")
        finally:
            running.terminate()
            said += running.stderr.read().splitlines()
    assert running.returncode == 0
    line = next(json.loads(line) for line in said if "the settings don't fit" in line)
    assert line["level"] == "error"
    assert ("AUDIT_ORIGIN" if mistake == "origin" else "AUDIT_SIGNING_KEY") in line["finding"]
    assert not any("altered" in line or "critical" in line for line in said)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)


def test_beside_the_followers_checkpoints_are_written_by_themselves(
    preferences: Command, inside, database_url: str
) -> None:
    """And an altered log is cried out about, again and again, but not signed."""
    last = write_log(database_url, 30)[-1]
    with preferences.start("follow", sweep_within=0, checkpoint_interval=1) as running:
        assert running.stderr is not None
        try:
            until(running.stderr, '"event":"checkpoint"')
            write_log(database_url, 30, first=last + 1, seed=1)
            until(running.stderr, '"event":"checkpoint"')
            assert "2 checkpoints in agreement" in inside("audit", "verify", "--log-only").stdout
            with psycopg.connect(database_url) as connection:
                connection.execute("DELETE FROM preferences_events WHERE notification_id > %s", [last])
            for _ in range(2):
                until(running.stderr, "the log was altered")
        finally:
            running.terminate()
            rest = running.stderr.read()
    assert running.returncode == 0
    assert "stopped following" in rest


def until(lines: IO[str], phrase: str) -> None:
    """Read on to the line that says so."""
    assert any(phrase in line for line in lines)


def up_to(lines: IO[str], phrase: str) -> list[str]:
    """The lines up to the one that says so. An alarm on the way there is one too many."""
    read = []
    for line in lines:
        read.append(line)
        assert '"critical"' not in line
        if phrase in line:
            return read
    raise AssertionError(read)


def name_of(key: str) -> str:
    """A public key's name and hash, as sentences have them."""
    return "+".join(key.split("+", 2)[:2])
