"""`preferences audit bundle` and `verify-bundle`."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from application.evidence.bundle import Bundle
from domain.catalogue import CATALOGUE
from tests.support.command import Command, one_sentence
from tests.support.events import ADA
from tests.support.readings import readings
from tests.support.server import PATH, Server
from tests.support.tokens import bearer


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


@pytest.fixture
def ada(inside, database_url: str, folder) -> tuple[str, str]:
    """A bundle of somebody who gave a consent and withdrew it; its path, and the public key."""
    with Server(database_url) as server, httpx.Client(base_url=server.url) as http:
        for enabled in ("true", "false"):
            body = f'{{"email": {{"weekly_usage_digest": {enabled}}}}}'
            assert http.patch(PATH, content=body, headers=bearer("user_ada")).status_code == 200
    file = str(folder / "ada.json")
    result = inside("audit", "bundle", "--org", "org_math", "--user", "user_ada", "-o", file)
    assert result.returncode == 0, result
    return file, inside("audit", "public-key").stdout.strip()


def test_a_bundle_is_verified_without_a_database_and_shows_what_it_proves(
    ada: tuple[str, str], nowhere: Command, monkeypatch, capsys, folder
) -> None:
    file, key = ada
    result = nowhere.inside(
        monkeypatch, capsys, "audit", "verify-bundle", file, "--key", key, data_dir=folder / "nothing"
    )
    assert result.returncode == 0
    lines = [line.split() for line in result.stdout.splitlines() if re.match(r"\s*\d{4}-", line)]
    given, withdrawn = lines
    assert given[2:6:3] == ["email.weekly_usage_digest", given[5]]
    assert given[3:5] == ["on", "withdrawn"]
    assert withdrawn[3:10] == ["off", "not", "changed", "up", "to", "version", "3"]
    assert withdrawn[10] == "user_ada"
    assert {"user_ada", "dashboard", "catalogue"} <= set(given)
    assert "user_ada of org_math: 3 events" in result.stdout
    assert not (folder / "nothing").exists()


def test_each_element_of_a_consent_is_in_the_bundle_of_who_gave_it(inside, database_url: str, folder) -> None:
    # Given a published catalogue, a consent that support gave in Bob's name, and Bob, who withdrew it
    assert inside("migrate").returncode == 0
    support = {"act": {"iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": "user_staff"}}
    asked: list[str] = []
    began = datetime.now(UTC).replace(microsecond=0)
    with Server(database_url) as server, httpx.Client(base_url=server.url) as http:
        for enabled, claims in (("true", support), ("false", {"sid": "sess_of_bob"})):
            body = f'{{"email": {{"weekly_usage_digest": {enabled}}}}}'
            answer = http.patch(PATH, content=body, headers=bearer("user_bob", **claims))
            assert answer.status_code == 200
            asked.append(answer.headers["x-request-id"])
    ended = datetime.now(UTC)

    # when his bundle is shown
    file = str(folder / "bob.json")
    assert inside("audit", "bundle", "--org", "org_math", "--user", "user_bob", "-o", file).returncode == 0
    key = inside("audit", "public-key").stdout.strip()
    shown = inside("audit", "verify-bundle", file, "--key", key).stdout.splitlines()

    # then it says when, what, whether it was withdrawn, who on whose behalf, in which session, how, what they were told, and
    # in which request.
    given, withdrawn = [cells(line) for line in shown if re.match(r"\s*\d{4}-", line)]
    for row in (given, withdrawn):
        assert began <= datetime.fromisoformat(f"{row[0]}+00:00") <= ended
    toggle, told = "email.weekly_usage_digest", f"catalogue {CATALOGUE.version}, default off"
    digest = CATALOGUE.toggle("email", "weekly_usage_digest")
    assert digest is not None
    in_words = f'Catalogue {CATALOGUE.version}, {toggle}: "{digest.title}" ({digest.description})'
    assert shown.count(in_words) == 1
    assert given[1:] == [
        toggle,
        "on",
        f"withdrawn {withdrawn[0]}",
        "user_staff for user_bob",
        "sess_user_bob",
        "dashboard",
        told,
        asked[0],
    ]
    assert withdrawn[1:] == [
        toggle,
        "off",
        "not changed up to version 3",
        "user_bob",
        "sess_of_bob",
        "dashboard",
        told,
        asked[1],
    ]


def test_of_a_bundle_whose_withdrawal_was_left_out_it_is_not_said_that_the_consent_holds(
    ada: tuple[str, str], inside, folder
) -> None:
    bundle = Bundle.parse(Path(ada[0]).read_bytes())
    cut = folder / "cut.json"
    cut.write_bytes(replace(bundle, events=bundle.events[:-1]).render())
    result = inside("audit", "verify-bundle", str(cut), "--key", ada[1])
    assert result.returncode == 0
    [given] = [cells(line) for line in result.stdout.splitlines() if re.match(r"\s*\d{4}-", line)]
    assert given[1:4] == ["email.weekly_usage_digest", "on", "not changed up to version 2"]
    proven, open_end = result.stdout.splitlines()[-2:]
    assert proven == "No event of this user up to version 2 was left out: their versions have no gap."
    assert open_end.startswith("Later changes are not excluded")


def test_a_bundle_is_for_its_owner_alone_whatever_stood_in_its_place(ada: tuple[str, str], inside, folder) -> None:
    taken = folder / "taken.json"
    taken.write_text("somebody's, and readable by all")
    taken.chmod(0o644)
    assert inside("audit", "bundle", "--org", "org_math", "--user", "user_ada", "-o", str(taken)).returncode == 0
    for file in (ada[0], taken):
        assert Path(file).stat().st_mode & 0o777 == 0o600


def test_one_changed_byte_is_one_sentence(ada: tuple[str, str], inside) -> None:
    file, key = ada
    with open(file, "r+b") as bundle:  # noqa: PTH123 - one byte is changed in place
        text = bundle.read().replace(b'"enabled\\":true', b'"enabled\\":null')
        bundle.seek(0)
        bundle.write(text)
    sentence = one_sentence(inside("audit", "verify-bundle", file, "--key", key))
    assert sentence.endswith("is not in the log that was signed")


def test_what_cannot_be_verified_is_one_sentence(ada: tuple[str, str], inside, folder) -> None:
    file, key = ada
    assert "is not a public key" in one_sentence(inside("audit", "verify-bundle", file, "--key", "x"))
    assert "No such file" in one_sentence(inside("audit", "verify-bundle", str(folder / "none"), "--key", key))
    (folder / "empty").touch()
    sentence = one_sentence(inside("audit", "verify-bundle", str(folder / "empty"), "--key", key))
    assert sentence == "this is not an evidence bundle"


def test_who_is_handed_a_bundle_is_recorded_before(ada: tuple[str, str], inside, folder, database_url: str) -> None:
    asked = {"resource_stream": str(ADA)}
    assert readings(database_url) == [("operator", "org_math", "user_evidence.export", asked, 3, "complete")]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_reads RENAME TO gone")
    file = folder / "unrecorded.json"
    assert inside("audit", "bundle", "--org", "org_math", "--user", "user_ada", "-o", str(file)).returncode == 1
    assert not file.exists()


def test_of_who_chose_nothing_there_is_no_bundle(ada: tuple[str, str], inside, folder) -> None:
    result = inside("audit", "bundle", "--user", "user_nobody", "-o", str(folder / "nobody.json"))
    assert result.returncode == 1
    assert result.stderr == "user_nobody has chosen nothing: there is nothing to prove.\n"
    assert not (folder / "nobody.json").exists()


def test_an_erasure_leaves_every_proof_as_it_was(ada: tuple[str, str], inside, folder) -> None:
    _, key = ada
    assert inside("erase", "--org", "org_math", "--user", "user_ada", "--yes").returncode == 0
    assert inside("audit", "verify").returncode == 0
    file = str(folder / "after.json")
    assert inside("audit", "bundle", "--org", "org_math", "--user", "user_ada", "-o", file).returncode == 0
    assert inside("audit", "verify").returncode == 0
    shown = inside("audit", "verify-bundle", file, "--key", key)
    assert shown.returncode == 0
    choices = [line for line in shown.stdout.splitlines() if re.match(r"\s*\d{4}-", line)]
    assert len(choices) == 2
    assert all(" erased " in line and "user_ada" not in line for line in choices)
