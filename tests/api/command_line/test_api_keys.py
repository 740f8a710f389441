"""`preferences api-keys`."""

import re
from uuid import uuid4

import httpx
import psycopg

from tests.support.command import Command
from tests.support.server import PATH, Server

KEY = re.compile(r"am_live_[a-z0-9]{4}[A-Za-z0-9]{32}")


def create(preferences, org: str = "org_math", label: str = "reports", *scopes: str) -> str:
    words = [word for scope in scopes or ("audit:read",) for word in ("--scope", scope)]
    made = preferences("api-keys", "create", "--org", org, "--label", label, *words)
    assert made.returncode == 0
    key = made.stdout.splitlines()[-1]
    assert KEY.fullmatch(key)
    return key


def test_a_key_is_made_shown_once_listed_used_and_revoked(preferences: Command, inside, database_url: str) -> None:
    made = preferences(
        "api-keys",
        "create",
        "--org",
        "org_math",
        "--label",
        "nightly [report]",
        "--scope",
        "audit:read",
        "--scope",
        "billing:read",
    )
    assert made.returncode == 0
    [key] = made.stdout.splitlines()
    assert KEY.fullmatch(key)
    assert key not in made.stderr
    with psycopg.connect(database_url) as connection:
        [(key_id, stored)] = connection.execute("SELECT id, api_keys::text FROM api_keys").fetchall()
    assert key not in stored

    listed = inside("api-keys", "list")
    assert listed.returncode == 0
    assert key not in listed.stdout
    assert key[12:] not in listed.stdout
    for shown in (str(key_id), "org_math", "nightly [report]", key[:12], "audit:read billing:read"):
        assert shown in listed.stdout

    with Server(database_url) as server:
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(server.url + PATH, headers=headers).status_code == 403
        revoked = preferences("api-keys", "revoke", str(key_id))
        assert (revoked.returncode, revoked.stderr.strip()) == (0, f"{key_id} is revoked.")
        assert httpx.get(server.url + PATH, headers=headers).status_code == 401

    again = inside("api-keys", "revoke", str(key_id))
    assert (again.returncode, again.stderr.strip()) == (1, f"There is no valid key {key_id}.")
    row = next(line for line in inside("api-keys", "list").stdout.splitlines() if str(key_id) in line)
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", row)) == 3  # created, last used, revoked


def test_keys_can_be_listed_by_organization(inside) -> None:
    assert inside("api-keys", "list").stderr.strip() == "There are no keys."
    create(inside, "org_math", "first")
    create(inside, "org_chess", "second")
    everything = inside("api-keys", "list").stdout
    assert everything.index("second") < everything.index("first")
    one = inside("api-keys", "list", "--org", "org_chess").stdout
    assert "second" in one
    assert "first" not in one
    nobody = inside("api-keys", "list", "--org", "org_none")
    assert (nobody.returncode, nobody.stdout) == (0, "")


def test_a_key_of_the_platform_belongs_to_no_organization(inside, database_url: str) -> None:
    made = inside("api-keys", "create", "--platform", "--label", "delivery", "--scope", "events:read")
    assert made.returncode == 0
    assert "A key of the platform for delivery." in made.stderr
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT organization, label FROM api_keys").fetchall() == [(None, "delivery")]
    assert "the platform" in inside("api-keys", "list").stdout
    assert inside("api-keys", "list", "--org", "org_math").stdout == ""


def test_keys_are_never_the_same(inside) -> None:
    assert create(inside) != create(inside)


def test_who_is_not_there_cannot_be_revoked(inside) -> None:
    result = inside("api-keys", "revoke", str(uuid4()))
    assert (result.returncode, result.stdout) == (1, "")


def test_a_key_that_makes_no_sense_is_not_made(inside) -> None:
    for words in (
        ["--org", "org_math", "--label", "x", "--scope", "everything"],
        ["--org", "org_math", "--label", "x", "--scope", "audit:read", "--scope", "Audit:Read"],
        ["--org", "org_math", "--label", "x", "--scope", ""],
        ["--org", "", "--label", "x", "--scope", "audit:read"],
        ["--org", "org_math", "--label", " ", "--scope", "audit:read"],
        ["--label", "x", "--scope", "audit:read"],
        ["--org", "org_math", "--platform", "--label", "x", "--scope", "audit:read"],
    ):
        result = inside("api-keys", "create", *words)
        assert (result.returncode, result.stdout) == (2, "")
    assert inside("api-keys", "list").stdout == ""
