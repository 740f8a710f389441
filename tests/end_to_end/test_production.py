"""What docs/production.md tells operators to do, done as it stands there: two roles, a backup restored, a backup that is too old."""

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from psycopg import errors

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support.command import Command, environment
from tests.support.events_client import EVENTS, events_key, positions
from tests.support.eventually import until
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text()
READS = "admin=audit:read,preferences:read"
ADMIN = bearer("user_admin", "org_math", role="admin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For keys and checkpoints, of each test alone."""
    return tmp_path


def boxes(language: str) -> list[str]:
    """The code on the page, without the indentation of a list that it stands in."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    return [re.sub(r"^ +", "", code, flags=re.MULTILINE) for code in found]


def execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, re.sub(r"--.*", "", statements).split(";")):
            connection.execute(statement.encode())


def choose(url: str, user: str, **toggles: bool) -> dict[str, bool]:
    response = httpx.patch(f"{url}{PATH}", json={"email": toggles}, headers=bearer(user))
    assert response.status_code == 200, response.text
    return response.json()["data"]["email"]


def events_after(position: int, server: Server) -> list[Any]:
    headers = asyncio.run(events_key(server.database_url, "org_math"))
    return httpx.get(f"{server.url}{EVENTS}", params={"after": position}, headers=headers).json()["data"]


def logged(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log().splitlines() if line.startswith(b"{")]


# Two roles


class Roles:
    """The database and the two roles of the page, under names of their own."""

    def __init__(self, postgres: EmbeddedPostgres, name: str, administrator: str) -> None:
        """`administrator` is the URL of whoever makes them."""
        as_administrator, self._as_owner = boxes("sql")[:2]
        self._name = name
        execute(administrator, self._renamed(as_administrator))
        passwords = dict(re.findall(r"ROLE (\w+) LOGIN PASSWORD '(.*?)'", as_administrator))
        urls = {role: as_role(postgres.database_url(name), self._renamed(role), passwords[role]) for role in passwords}
        self.owner, self.service = urls["preferences_owner"], urls["preferences_service"]

    def grant(self) -> None:
        execute(self.owner, self._renamed(self._as_owner))

    def _renamed(self, text: str) -> str:
        renamed = re.sub(r"preferences_(owner|service)", rf"{self._name}_\1", text)
        return renamed.replace("DATABASE preferences ", f"DATABASE {self._name} ")


def as_role(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{password.replace(' ', '%20')}@"))


NUMBERS = itertools.count(1)


def made_by_an_administrator(postgres: EmbeddedPostgres) -> Roles:
    """The administrator is no superuser, as those of a managed server are none."""
    name = f"of_administrator_{next(NUMBERS)}"
    execute(postgres.url, f"CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD 'secret'")
    return Roles(postgres, f"made_{name}", as_role(postgres.database_url("postgres"), name, "secret"))


@pytest.fixture
def roles(postgres: EmbeddedPostgres) -> Roles:
    return made_by_an_administrator(postgres)


def test_a_superuser_can_make_them_too(postgres: EmbeddedPostgres) -> None:
    roles = Roles(postgres, "made_by_superuser", postgres.url)
    with psycopg.connect(roles.owner) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("made_by_superuser_owner",)


def test_the_service_can_do_all_that_it_does_and_cannot_rewrite_history(roles: Roles, folder: Path) -> None:
    owner, service = (Command(folder / "data", url) for url in (roles.owner, roles.service))
    assert owner("migrate").returncode == 0
    roles.grant()
    headers = asyncio.run(events_key(roles.owner, "org_math"))
    settings = {"followers": "on", "checkpoint_interval": 1, "data_dir": folder / "data", "role_scopes": READS}
    with Server(roles.service, **settings) as server:
        # It serves everything,
        choose(server.url, "user_ada", product_updates=False)
        choose(server.url, "user_ada", weekly_usage_digest=True)
        with httpx.Client(base_url=server.url, timeout=10) as http:
            assert http.get(PATH, headers=bearer("user_ada")).json()["data"]["email"]["weekly_usage_digest"] is True
            assert len(http.get(f"{PATH}/history", headers=bearer("user_ada")).json()["data"]) == 2
            until(lambda: len(http.get("/v1/audit-log", headers=ADMIN).json()["data"]) == 2)
            assert http.get("/v1/users/user_ada/notifications", headers=ADMIN).status_code == 200
            asked = {"channel": "email", "toggle": "product_updates", "users": ["user_ada"]}
            [decision] = http.post("/v1/decisions", json=asked, headers=ADMIN).json()["data"]["decisions"]
            assert decision["allowed"] is False
            assert len(http.get(EVENTS, headers=headers).json()["data"]) == 4
            assert http.get("/readyz").status_code == 200
        until(lambda: "checkpoint" in [line["event"] for line in logged(server)])
        assert service("audit", "verify").returncode == 0
        assert service("followers", "pause", "audit-index").returncode == 0
        assert service("followers", "resume", "audit-index").returncode == 0
        # also after the owner has put another table in place of the current preferences,
        assert owner("rebuild").stdout.endswith("equal; swapped\n")
        choose(server.url, "user_ada", weekly_usage_digest=False)
        assert owner("erase", "--org", "org_math", "--user", "user_ada").returncode == 0
        choose(server.url, "user_ada", weekly_usage_digest=True)
        assert not [line for line in logged(server) if line["level"] in {"warning", "error", "critical"}]
    # and of what it has written it can change nothing,
    rewriting = (
        "UPDATE preferences_events SET state = state",
        "DELETE FROM preferences_events",
        "TRUNCATE preferences_events",
        "DELETE FROM person_keys",
        "UPDATE person_keys SET key = key",
        "UPDATE checkpoints SET note = note",
        "DELETE FROM checkpoints",
        "UPDATE log_servers SET server = ''",
        "DELETE FROM log_servers",
        "DELETE FROM audit_reads",
        "UPDATE audit_reads SET reader = 'nobody'",
        "UPDATE api_keys SET scopes = scopes",
        "ALTER TABLE preferences_events DISABLE TRIGGER ALL",
        "DROP FUNCTION append_events",
        "CREATE TABLE of_our_own (x integer)",
    )
    for statement in rewriting:
        with psycopg.connect(roles.service) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    # which the owner could.
    with psycopg.connect(roles.owner) as connection:
        for statement in rewriting:
            connection.execute(statement.encode())
        connection.rollback()


# Backing up, and restoring


class Shell:
    """Runs what stands in a box, with PostgreSQL's programs and ours at hand; its exit code and what it said."""

    def __init__(self, folder: Path, url: str, restored: str, owner: str | None = None) -> None:
        programs = [str(PostgresBinaries.locate().folder), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._environment = environment(data_dir=folder / "data", restored_url=restored, path=":".join(programs))
        self._folder, self._url, self._owner = folder, url, owner or url

    def __call__(self, code: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-euc", code],
            env={**self._environment, "DATABASE_URL": self._url, "OWNER_URL": self._owner},
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout


DUMP, RESTORE = boxes("sh")


@pytest.fixture
def restored_url(postgres: EmbeddedPostgres, database_url: str) -> str:
    name = f"{urlsplit(database_url).path.removeprefix('/')}_restored"
    execute(postgres.url, f"CREATE DATABASE {name}")
    return postgres.database_url(name)


@pytest.fixture
def new_server() -> Iterator[EmbeddedPostgres]:
    with TemporaryDirectory(prefix="preferences-test-") as name:
        Path(name).chmod(0o755)
        with EmbeddedPostgres(Path(name)) as server:
            yield server


@pytest.fixture
def shell(folder: Path, database_url: str, restored_url: str) -> Shell:
    return Shell(folder, database_url, restored_url)


@pytest.fixture
def written(folder: Path, database_url: str) -> Command:
    """A log that the service has written and signed. Commands beside it."""
    with Server(database_url) as server:
        for number in range(30):
            choose(server.url, f"user_{number % 3}", product_updates=bool(number % 2))
    command = Command(folder / "data", database_url)
    assert command("audit", "checkpoint").returncode == 0
    return command


def test_a_dump_that_is_restored_proves_itself_and_serves(shell: Shell, written, restored_url: str, folder) -> None:
    assert shell(DUMP) == (0, "")
    code, said = shell(RESTORE)
    assert code == 0, said
    assert "Nothing was altered." in said
    assert said.endswith("equal\n")
    with Server(restored_url) as server:
        assert choose(server.url, "user_1", weekly_usage_digest=True)["product_updates"] is False
        history = httpx.get(f"{server.url}{PATH}/history", headers=bearer("user_1")).json()["data"]
        assert len(history) == 11
        assert {entry["actor"]["label"] for entry in history} == {"user_1"}
    code, said = shell('DATABASE_URL="$RESTORED_URL" preferences audit checkpoint')
    assert code == 0, said


def test_on_a_new_server_with_roles_of_other_names_it_does_so_too(roles: Roles, folder: Path, new_server) -> None:
    # Given a service with the two roles, and a dump that its owner made
    assert Command(folder / "data", roles.owner)("migrate").returncode == 0
    roles.grant()
    with Server(roles.service) as server:
        choose(server.url, "user_ada", product_updates=False)
    assert Command(folder / "data", roles.service)("audit", "checkpoint").returncode == 0
    there = made_by_an_administrator(new_server)
    assert Shell(folder, roles.service, there.owner, roles.owner)(DUMP) == (0, "")
    # when it is restored into a server that knows none of its roles,
    code, said = Shell(folder, roles.service, there.owner)(RESTORE)
    # then it proves itself, and serves once the rights are granted.
    assert code == 0, said
    assert "Nothing was altered." in said
    assert said.endswith("equal\n")
    there.grant()
    with Server(there.service) as server:
        assert choose(server.url, "user_ada", weekly_usage_digest=True)["product_updates"] is False
        history = httpx.get(f"{server.url}{PATH}/history", headers=bearer("user_ada")).json()["data"]
        assert len(history) == 2


def test_the_services_own_role_can_not_make_the_dump(roles: Roles, folder: Path) -> None:
    assert Command(folder / "data", roles.owner)("migrate").returncode == 0
    roles.grant()
    code, said = Shell(folder, roles.service, roles.service)(DUMP)
    assert code == 1
    assert "sequence" in said


def test_a_restored_dump_that_was_altered_is_found_out(shell: Shell, written, restored_url: str) -> None:
    """The control."""
    restoring, verifying, comparing = RESTORE.splitlines()
    assert shell(DUMP)[0] == shell(restoring)[0] == 0
    execute(restored_url, "DELETE FROM preferences_events WHERE notification_id = 7")
    execute(
        restored_url,
        "UPDATE current_preferences SET choices = '{}' WHERE position = (SELECT max(position) FROM current_preferences)",
    )
    code, said = shell(verifying)
    assert code == 1
    assert "position 7" in said
    assert shell(comparing)[0] == 1


def test_a_dump_without_keys_verifies_and_names_nobody(shell: Shell, written, restored_url: str) -> None:
    [option] = re.findall(r"`(--exclude-table-data=\w+)`", PAGE)
    [log_only] = re.findall(r"`audit verify (--log-only)`", PAGE)
    assert shell(DUMP.replace("pg_dump", f"pg_dump {option}")) == (0, "")
    code, said = shell(RESTORE.replace("audit verify", f"audit verify {log_only}"))
    assert code == 0, said
    with Server(restored_url) as server:
        history = httpx.get(f"{server.url}{PATH}/history", headers=bearer("user_0")).json()["data"]
    assert {entry["actor"]["label"] for entry in history} == {"erased"}


def test_after_a_loss_the_log_goes_on_where_no_reader_has_been(
    shell: Shell, written: Command, database_url: str, restored_url: str, folder: Path
) -> None:
    # Given a dump that lacks what was recorded, signed and read after it
    assert shell(DUMP) == (0, "")
    with Server(database_url) as server:
        choose(server.url, "user_lost", product_updates=False)
        read = events_after(0, server)
    assert written("audit", "checkpoint").returncode == 0
    restoring, verifying, _ = RESTORE.splitlines()
    assert shell(restoring)[0] == 0
    # then the loss is told, with what was signed,
    code, said = shell(verifying)
    assert code == 1
    assert f"the log has {len(read) - 2} events" in said
    # and after the steps of the page
    archived = (folder / "data" / "checkpoints").rename(folder / "archived")
    with Server(restored_url) as server:
        choose(server.url, "user_ada", product_updates=False)
        # nobody who has read the lost events misses what comes,
        news = events_after(positions(read)[-1], server)
    assert [event["type"].split(".")[-2] for event in news] == ["continued", "opened", "toggled"]
    # and they are told what is gone,
    assert news[0]["data"]["previous_end"] == positions(read)[-3]
    # new checkpoints go on from the last one that the dump has,
    assert shell('DATABASE_URL="$RESTORED_URL" preferences audit checkpoint')[0] == 0
    code, said = shell(verifying)
    assert code == 0, said
    # and the old file keeps saying what was lost.
    code, said = shell(f"{verifying} --checkpoint {archived}")
    assert code == 1
    assert "are lost: the log was continued on another server" in said
    assert "Signed events were lost." in said


def test_a_copy_of_the_disk_is_continued_once_somebody_has_said_that_it_is_one(database_url: str) -> None:
    with Server(database_url) as server:
        choose(server.url, "user_ada", product_updates=False)
    execute(database_url, boxes("sql")[2])
    with Server(database_url) as server:
        choose(server.url, "user_ada", product_updates=True)
        kinds = [event["type"].split(".")[-2] for event in events_after(0, server)]
    assert kinds == ["opened", "toggled", "continued", "toggled"]
