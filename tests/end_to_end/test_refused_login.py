"""A database that refuses the login: commands, `/readyz` and the log say so by name."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.catalogues import publish
from tests.support.command import Command, one_sentence
from tests.support.eventually import until
from tests.support.roles import Role
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

REFUSED = "the database refuses the login: "


@pytest.fixture
def role(database_url: str) -> Role:
    asyncio.run(publish(database_url))
    role = Role(database_url)
    role.grant_as_documented()
    return role


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER ROLE {role} PASSWORD 'new'", 'password authentication failed for user "{role}"'),
        ("ALTER ROLE {role} NOLOGIN", 'role "{role}" is not permitted to log in'),
        ("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC", 'permission denied for database "{database}"'),
    ],
)
def test_check_and_serve_say_why_the_login_is_refused(role: Role, folder: Path, change: str, said: str) -> None:
    names = {"role": role.name, "database": urlsplit(role.url).path.removeprefix("/")}
    role.execute(change.format(**names))
    command = Command(folder / "data", role.url)
    result = command("check")
    [line] = [line for line in result.stdout.splitlines() if "database" in line[:14]]
    assert result.returncode == 1
    assert line.startswith(f"✗ database    {REFUSED}")
    assert said.format(**names) in line
    sentence = one_sentence(command("serve", port=0))
    assert sentence.startswith(REFUSED)
    assert said.format(**names) in sentence


def test_readyz_and_the_log_say_so_until_the_login_is_accepted_again(role: Role) -> None:
    with Server(role.url, followers="on") as server, httpx.Client(base_url=server.url, timeout=10) as http:
        until(lambda: b"follower leads" in server.log())
        role.execute(
            f"ALTER ROLE {role.name} PASSWORD 'new'",
            f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = '{role.name}'",
        )
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["error"]["details"]["database"]) == (503, "refuses the login")
        change = {"email": {"product_updates": False}}
        refused = http.patch(PATH, json=change, headers=bearer("user_ada"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")

        def reasons(event: str) -> list[str]:
            lines = [json.loads(line) for line in server.log().splitlines() if line.startswith(b"{")]
            return [line["reason"] for line in lines if line["event"] == event]

        [reason] = reasons("refused")
        assert reason.startswith(REFUSED)
        assert f'password authentication failed for user "{role.name}"' in reason
        until(lambda: any(reason.startswith(REFUSED) for reason in reasons("follower waits")))
        role.execute(f"ALTER ROLE {role.name} PASSWORD 'secret'")
        until(lambda: http.get("/readyz").status_code == 200)
        assert http.patch(PATH, json=change, headers=bearer("user_ada")).status_code == 200
