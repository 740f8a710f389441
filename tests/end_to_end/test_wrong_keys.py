"""A key that doesn't fit hides one actor, never an event; and a command sets it right, without undoing an erasure."""

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pyarrow.dataset as ds
import pytest
from psycopg.conninfo import conninfo_to_dict

from api import bootstrap
from application.log import Recorded
from domain.preferences import stream_id
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.log.event_log import read_after
from projections.cloud_events import cloud_event
from tests.support.catalogues import publish
from tests.support.command import Command, Result
from tests.support.events_client import events_key, stream
from tests.support.filled_log import take_in
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

EVENTS = 14
"""In the world's log, its catalogue and an erasure among them."""

USERS = ("user_ada", "user_bob", "user_eve")
ADA, BOB, EVE = (stream_id("org_math", user) for user in USERS)


class World:
    """Ada chose, was erased and chose again; Bob and Eve chose. `older` is a copy of the keys from before the erasure."""

    def __init__(self, url: str, folder: Path, copies: Path, run: Callable[..., Result]) -> None:
        self.url = url
        self.folder = folder
        self.older, self.newer = copies / "older.csv", copies / "newer.txt"
        self.run = run
        self.before = self.labels()

    def execute(self, statement: str, *parameters: Any) -> None:
        with psycopg.connect(self.url) as connection:
            assert connection.execute(statement, parameters).rowcount

    def restore_older(self) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("TRUNCATE person_keys")
            with connection.cursor().copy("COPY person_keys FROM STDIN (FORMAT csv)") as rows:
                rows.write(self.older.read_bytes())

    def swap(self) -> None:
        with psycopg.connect(self.url) as connection:
            keys = dict(connection.execute("SELECT originator_id, key FROM person_keys").fetchall())
            for one, other in ((ADA, BOB), (BOB, ADA)):
                connection.execute("UPDATE person_keys SET key = %s WHERE originator_id = %s", [keys[one], other])

    def overwrite(self) -> None:
        self.execute("UPDATE person_keys SET key = %s WHERE originator_id = %s", secrets.token_bytes(32), BOB)

    def overwrite_with_nonsense(self) -> None:
        self.execute("UPDATE person_keys SET key = 'x' WHERE originator_id = %s", BOB)

    def raise_since_version(self) -> None:
        self.execute("UPDATE person_keys SET since_version = since_version + 2 WHERE originator_id = %s", BOB)

    def lower_since_version(self) -> None:
        self.execute("UPDATE person_keys SET since_version = 1 WHERE originator_id = %s", ADA)

    def keys(self) -> dict[Any, Any]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT originator_id, since_version, key FROM person_keys").fetchall()
        return {of: (since, key) for of, since, key in rows}

    def labels(self) -> list[str]:
        """Who acted in each event, as everybody outside is told."""

        async def read() -> list[Recorded]:
            async with await psycopg.AsyncConnection.connect(self.url) as connection:
                return await read_after(connection, 0, 1000)

        told = [cloud_event(*recorded)["data"] for recorded in asyncio.run(read())]
        return [data["actor"]["label"] for data in told if "actor" in data]


def choose(http: httpx.Client, user: str, **toggles: bool) -> None:
    for toggle, enabled in toggles.items():
        response = http.patch(PATH, json={"email": {toggle: enabled}}, headers=bearer(user))
        assert response.status_code == 200


def copy_keys(url: str, file: Path, form: str) -> None:
    """What psql's `\\copy person_keys to FILE` writes."""
    copy = f"COPY person_keys TO STDOUT (FORMAT {form})"
    with psycopg.connect(url) as connection, connection.cursor().copy(copy) as rows:
        file.write_bytes(b"".join(rows))


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedPostgres, new_database: Callable[[], str], tmp_path_factory) -> tuple[str, Path]:
    """A template of the world's database, written by the real service, and the copies of its keys."""
    url, copies = new_database(), tmp_path_factory.mktemp("copies")
    asyncio.run(publish(url))
    with Server(url) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        for user in USERS:
            choose(http, user, product_updates=False, billing_receipts=False)
        copy_keys(url, copies / "older.csv", "csv")
        assert asyncio.run(bootstrap.erasure.erase(url, "org_math", "user_ada")).destroyed
        choose(http, "user_ada", product_updates=True)
        choose(http, "user_ada", weekly_usage_digest=True)
        choose(http, "user_bob", weekly_usage_digest=True)
    copy_keys(url, copies / "newer.txt", "text")
    asyncio.run(take_in(url))
    return url, copies


@pytest.fixture
def world(filled: tuple[str, Path], postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch, capsys) -> World:
    template, copies = filled
    name = f"keys_{uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {conninfo_to_dict(template)['dbname']}")
    url = postgres.database_url(name)
    command = Command(tmp_path / "data", url)
    return World(url, tmp_path, copies, lambda *arguments: command.inside(monkeypatch, capsys, *arguments))


DAMAGES = {
    World.restore_older: "unreadable",
    World.overwrite_with_nonsense: "unreadable",
    World.raise_since_version: "erased",
}


@pytest.mark.parametrize(("damage", "label"), DAMAGES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_everything_that_shows_an_actor_goes_on(damage: Callable[[World], None], label: str, world: World) -> None:
    damage(world)
    with Server(world.url) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        # The feed has every event, in each of its forms; those whose actor can't be told have no subject.
        key = asyncio.run(events_key(world.url))
        page = http.get("/v1/events?limit=1000", headers=key)
        assert page.status_code == 200, page.text
        feed = page.json()["data"]
        assert len(feed) == EVENTS
        hidden = [event for event in feed if is_hidden(event, label)]
        assert hidden
        lines = http.get("/v1/events", headers=key | {"Accept": "application/x-ndjson"})
        assert [json.loads(line) for line in lines.text.splitlines()] == feed
        assert asyncio.run(streamed(server.url, key, len(feed))) == feed
        # So have its replays,
        for form, output in (("jsonl", "log.jsonl"), ("parquet", "log")):
            assert world.run("replay", "--to", form, "-o", str(world.folder / output)).returncode == 0
        assert [json.loads(line) for line in (world.folder / "log.jsonl").read_text().splitlines()] == feed
        assert ds.dataset(world.folder / "log", format="parquet").count_rows() == len(feed)
        # and what an organization and its users are shown.
        admin = bearer("user_admin", role="admin")
        page = http.get("/v1/audit-log?limit=100", headers=admin)
        assert page.status_code == 200, page.text
        assert label in {entry["actor"]["label"] for entry in page.json()["data"]}
        for user in USERS:
            for path in (f"/v1/users/{user}/notifications", f"/v1/users/{user}/notifications/history"):
                assert http.get(path, headers=admin).status_code == 200
            assert http.get(f"{PATH}/history", headers=bearer(user)).status_code == 200
            of = ("--org", "org_math", "--user", user)
            assert world.run("history", *of).returncode == 0
            assert (
                world.run("audit", "explain", *of, "--channel", "email", "--toggle", "product_updates").returncode == 0
            )
            if damage is not World.overwrite_with_nonsense:  # under what is no key, nothing can be sealed
                choose(http, user, delivery_alerts=False)
        if label == "unreadable":
            counted = http.get("/metrics").text
            [count] = re.findall(r"^preferences_unreadable_actors_total (\S+)$", counted, flags=re.M)
            assert float(count) >= len(hidden)
            told = [json.loads(line) for line in server.log().splitlines() if b"does not open who acted" in line]
            assert {line["level"] for line in told} == {"error"}
            streams = [line["stream"] for line in told]
            assert len(streams) == len(set(streams))  # once each, however often they were read
            assert {event["partitionkey"] for event in hidden} <= set(streams)


def is_hidden(event: dict[str, Any], label: str) -> bool:
    return "subject" not in event and event["data"].get("actor", {}).get("label") == label


async def streamed(url: str, headers: dict[str, str], count: int) -> list[Any]:
    async with stream(url, headers) as reader:
        return [json.loads(message.data) for message in await reader.take(count)]


@pytest.mark.parametrize(
    ("damage", "copied"),
    [
        (World.restore_older, True),
        (World.overwrite, True),
        (World.lower_since_version, False),
        (World.raise_since_version, False),
        (World.swap, False),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_command_finds_and_mends_it(damage: Callable[[World], None], copied: bool, world: World) -> None:
    good = world.keys()
    assert world.run("person-keys", "check").returncode == 0
    damage(world)
    found = world.run("person-keys", "check")
    assert found.returncode == 1
    assert str(ADA) in found.stdout or str(BOB) in found.stdout
    repaired = world.run("person-keys", "repair", *(["--from", str(world.newer)] if copied else []))
    assert repaired.returncode == 0, repaired.stdout
    assert world.keys() == good
    assert world.labels() == world.before
    assert world.run("person-keys", "check").returncode == 0


def test_a_key_that_opens_nothing_but_what_was_erased_is_destroyed(world: World) -> None:
    world.restore_older()
    assert world.labels()[:3] == ["user_ada"] * 3  # the control: the older copy undoes the erasure
    repaired = world.run("person-keys", "repair", "--from", str(world.older))
    assert "1 stream lost a key that opened only erased actors" in repaired.stdout
    assert "whose key is gone" in repaired.stdout
    assert set(world.keys()) == {BOB, EVE}
    assert world.labels()[:3] == ["erased"] * 3
    # Who comes back goes on under a key of her own.
    with Server(world.url) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        choose(http, "user_ada", delivery_alerts=False)
    assert world.labels()[-1] == "user_ada"
    assert world.run("person-keys", "check").returncode == 1
    assert world.run("person-keys", "check", "--ignore-lost").returncode == 0


def test_what_stays_unreadable_is_named_and_can_be_given_up(world: World) -> None:
    world.overwrite()
    with Server(world.url) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        choose(http, "user_bob", delivery_alerts=False)  # sealed under the key that opens nothing else
    repaired = world.run("person-keys", "repair")
    assert repaired.returncode == 1
    assert f"{BOB}: no key opens who acted in 4 versions, the first ones 1, 2, 3, 4" in repaired.stdout
    assert world.labels()[-1] == "user_bob"
    assert "unreadable" in world.labels()
    given_up = world.run("person-keys", "repair", "--give-up")
    assert "no key opens" not in given_up.stdout
    assert "unreadable" not in world.labels()
    assert world.labels()[-1] == "user_bob"


def test_an_overwritten_key_is_in_the_way_of_the_evidence_about_its_person_alone(world: World) -> None:
    world.overwrite()
    assert (
        world.run(
            "audit", "bundle", "--org", "org_math", "--user", "user_eve", "-o", str(world.folder / "eve")
        ).returncode
        == 0
    )
    refused = world.run("audit", "bundle", "--org", "org_math", "--user", "user_bob", "-o", str(world.folder / "bob"))
    assert refused.returncode == 1
    assert "can't be read" in refused.stderr
    assert not (world.folder / "bob").exists()


def test_a_process_that_serves_goes_on_under_the_repaired_keys(world: World) -> None:
    world.swap()
    with Server(world.url) as server:
        repaired = world.run("person-keys", "repair")
        assert repaired.returncode == 0
        with httpx.Client(base_url=server.url, timeout=10) as http:
            choose(http, "user_bob", delivery_alerts=False)
    assert world.labels()[-1] == "user_bob"


def test_a_file_that_is_no_copy_of_the_keys_is_refused(world: World) -> None:
    file = world.folder / "copy"
    file.write_bytes(world.newer.read_bytes() + b"x\n")
    world.swap()
    result = world.run("person-keys", "repair", "--from", str(file))
    assert result.returncode == 1
    sentence = f"error: line 4 of {file} is no row of person_keys: write it with psql's \\copy"
    assert result.stderr.strip().splitlines()[-1] == sentence
    assert world.run("person-keys", "check").returncode == 1
