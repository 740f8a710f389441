"""A role without all its rights: grants that were forgotten after a release that adds a table, or a part of them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.catalogues import publish
from tests.support.command import Command
from tests.support.events_client import EVENTS, events_key
from tests.support.eventually import until
from tests.support.ledger import record
from tests.support.roles import Role
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

CHANGE = {"email": {"product_updates": False}}
READS = "admin=audit:read,preferences:read"
MOVED = "INSERT INTO log_servers SELECT max(since) + 1, max(since) + 1, 'another server' FROM log_servers"
CONTINUED = "the log was continued on another server: events after `previous_end` are lost, if there were any"
ADMIN = bearer("user_admin", "org_math", role="admin")


@pytest.fixture
def role(database_url: str) -> Role:
    asyncio.run(publish(database_url))
    return Role(database_url)


def complaints(server: Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith(b"{")]
    return [line for line in lines if line["level"] in {"warning", "error", "critical"}]


def test_changes_get_503_and_reads_go_on_until_the_right_is_granted(role: Role) -> None:
    # Given a service that serves, and a role that has lost a right
    role.grant_as_documented()
    with Server(role.url) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        headers = bearer("user_ada")
        assert http.get("/readyz").status_code == 200
        role.execute(f"REVOKE INSERT ON person_keys FROM {role.name}")
        # then it isn't ready, and says why,
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["error"]["details"]) == (
            503,
            {"database": f"the role {role.name} lacks INSERT on person_keys"},
        )
        # a change is refused in the envelope,
        refused = http.patch(PATH, json=CHANGE, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert refused.headers["retry-after"] == "1"
        # once in the log, by its cause,
        [line] = complaints(server)
        assert line["reason"] == "the role lacks a right in the database: permission denied for table person_keys"
        assert line["request_id"] == refused.json()["error"]["request_id"]
        # and reads go on.
        assert http.get(PATH, headers=headers).status_code == 200
        # With the right all is well at once.
        role.execute(f"GRANT INSERT ON person_keys TO {role.name}")
        assert http.get("/readyz").status_code == 200
        assert http.patch(PATH, json=CHANGE, headers=headers).status_code == 200


def test_check_names_what_is_missing_and_exactly_that_is_enough(role: Role, database_url: str, folder: Path) -> None:
    # Given a role that may do nothing, to which is granted what `check` names
    check = Command(folder / "data", role.url)
    result = check("check")
    assert result.returncode == 1
    assert "lacks EXECUTE on" in result.stdout
    role.grant_what_is_lacking(result.stdout)
    result = check("check")
    assert (result.returncode, "lacks" in result.stdout) == (0, False), result.stdout
    # then the service does all that it does, and misses nothing.
    headers = asyncio.run(events_key(database_url, "org_math"))
    role.execute(MOVED)
    settings = {"followers": "on", "checkpoint_interval": 1, "sweep_within": 60, "data_dir": folder / "data"}
    with Server(role.url, role_scopes=READS, **settings) as server, httpx.Client(base_url=server.url) as http:
        does_all(role, http, headers)
        until(lambda: len(http.get("/v1/audit-log", headers=ADMIN).json()["data"]) == 1)
        until(lambda: b'"event":"checkpoint"' in server.log().replace(b'": "', b'":"'))
        until(
            lambda: role.fetch("SELECT FROM sweep WHERE completed_at IS NULL") == [] != role.fetch("SELECT FROM sweep")
        )
        assert {line["event"] for line in complaints(server)} == {CONTINUED}


def test_a_server_without_followers_needs_none_of_their_rights(role: Role, database_url: str, folder: Path) -> None:
    check = Command(folder / "data", role.url)
    role.grant_what_is_lacking(check("check", followers="off").stdout)
    assert "the role" in check("check").stdout
    result = check("check", followers="off")
    assert (result.returncode, "lacks" in result.stdout) == (0, False), result.stdout
    headers = asyncio.run(events_key(database_url, "org_math"))
    role.execute(MOVED)
    with Server(role.url, role_scopes=READS) as server, httpx.Client(base_url=server.url) as http:
        does_all(role, http, headers)
        assert {line["event"] for line in complaints(server)} == {CONTINUED}


def does_all(role: Role, http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.get("/readyz").status_code == 200
    assert http.patch(PATH, json=CHANGE, headers=bearer("user_ada")).status_code == 200
    assert http.get(PATH, headers=bearer("user_ada")).status_code == 200
    assert len(http.get(f"{PATH}/history", headers=bearer("user_ada")).json()["data"]) == 1
    for path in (
        "/v1/users/user_ada/notifications",
        "/v1/users/user_ada/notifications?as_of=2020-01-01T00:00:00Z",
        "/v1/users/user_ada/notifications/history",
        "/v1/audit-log",
        "/v1/audit-log/summary",
        "/v1/audit-log/reads",
        "/v1/audit-log/catalogues",
        "/metrics",
    ):
        assert http.get(path, headers=ADMIN).status_code == 200, path
    assert http.get("/v1/audit-log", headers={**ADMIN, "accept": "text/csv"}).status_code == 200
    asked = {"channel": "email", "toggle": "product_updates", "users": ["user_ada"]}
    assert http.post("/v1/decisions", json=asked, headers=ADMIN).status_code == 200
    assert len(http.get(EVENTS, headers=headers).json()["data"]) == 4


def test_a_follower_waits_for_a_right_and_goes_on_by_itself(role: Role) -> None:
    # Given followers whose role may not write what they make
    role.grant_as_documented()
    role.execute(f"REVOKE INSERT ON audit_entries FROM {role.name}")
    with Server(role.url, followers="on", role_scopes=READS) as server, httpx.Client(base_url=server.url) as http:
        assert http.patch(PATH, json=CHANGE, headers=bearer("user_ada")).status_code == 200
        # then they wait, and say for what: no event has stopped them.
        until(lambda: "permission denied for table audit_entries" in str(complaints(server)))
        assert {line["event"] for line in complaints(server)} == {"follower waits"}
        [follower] = http.get("/readyz").json()["data"]["followers"]
        assert "failed_position" not in follower
        role.execute(f"GRANT INSERT ON audit_entries TO {role.name}")
        until(lambda: len(http.get("/v1/audit-log", headers=ADMIN).json()["data"]) == 1, 15)


@pytest.mark.parametrize("command", ["migrate", "rebuild"])
def test_a_command_for_the_owner_says_what_the_services_role_may_not_do(role: Role, folder: Path, command: str) -> None:
    role.grant_as_documented()
    asyncio.run(record(role.owner, 1))
    result = Command(folder / "data", role.url)(command)
    assert result.returncode == 1
    said = result.stderr.splitlines()[-1]
    assert said == "error: the role lacks a right in the database: permission denied for schema public"
