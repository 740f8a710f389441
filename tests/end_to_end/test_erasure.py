"""After an erasure nobody can say who acted, and everything else is as it was."""

import asyncio
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from api import bootstrap
from domain.preferences import stream_id
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from tests.support.command import Command
from tests.support.folded_log import FoldedLog
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

HISTORY = f"{PATH}/history"


@pytest.fixture
def erase(folder: Path, database_url: str, monkeypatch, capsys) -> Callable[..., str]:
    command = Command(folder / "data", database_url)

    def run(user: str) -> str:
        result = command.inside(monkeypatch, capsys, "erase", "--org", "org_math", "--user", user)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


@pytest.fixture
def user() -> str:
    return f"user_{uuid4().hex}"


def choose(http: httpx.Client, user: str, **toggles: bool) -> dict[str, bool]:
    response = http.patch(PATH, json={"email": toggles}, headers=bearer(user))
    assert response.status_code == 200
    return response.json()["data"]["email"]


def dump(url: str) -> str:
    program = PostgresBinaries.locate().folder / "pg_dump"
    return subprocess.run([program, "-d", url], capture_output=True, text=True, check=True).stdout


def raw(text: str) -> tuple[str, str]:
    """As text, and as a dump shows bytes."""
    return text, text.encode().hex()


def files_with(postgres: EmbeddedPostgres, text: str) -> list[str]:
    """The files of the whole database server that hold these bytes anywhere: tables, dead rows, indexes, the WAL."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        [(folder,)] = connection.execute("SHOW data_directory").fetchall()
    needle = text.encode()
    return [str(file) for file in Path(folder).rglob("*") if file.is_file() and needle in file.read_bytes()]


def test_the_personal_strings_are_nowhere_and_the_opt_outs_stay_in_force(
    serve, erase, user: str, database_url: str, postgres: EmbeddedPostgres
) -> None:
    other = f"user_{uuid4().hex}"
    # Given two users who chose, one of them with an impersonator
    with httpx.Client(base_url=serve().url, timeout=10) as http:
        choose(http, user, product_updates=False, billing_receipts=False)
        staff = bearer(user, act={"iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": f"staff_of_{user}"})
        assert http.patch(PATH, json={"email": {"weekly_usage_digest": True}}, headers=staff).status_code == 200
        choose(http, other, product_updates=False)
        assert http.get(HISTORY, headers=bearer(user)).json()["data"][0]["actor"]["label"] == "support"
        before = {name: http.get(PATH, headers=bearer(name)).json()["data"] for name in (user, other)}
        with psycopg.connect(database_url) as connection:
            [(key,)] = connection.execute(
                "SELECT key FROM person_keys WHERE originator_id = %s", [stream_id("org_math", user)]
            ).fetchall()
            log = connection.execute("SELECT * FROM preferences_events ORDER BY notification_id").fetchall()
        assert key.hex() in dump(database_url)  # the control: a dump shows what is there

        # when one of them is erased
        assert erase(user) == f"{user} of org_math is erased. The recorded choices stay in force."

        # then neither the names nor the key are in a dump, and the names are in no file of the server,
        dumped = dump(database_url)
        for text in (user, f"sess_{user}", f"staff_of_{user}"):
            assert not any(form in dumped for form in raw(text))
            assert files_with(postgres, text) == []
        assert key.hex() not in dumped
        # no event was touched, and one was added,
        with psycopg.connect(database_url) as connection:
            after = connection.execute("SELECT * FROM preferences_events ORDER BY notification_id").fetchall()
        assert after[:-1] == log
        assert after[-1][4] == "notification-preferences.erased"
        # everybody's choices are what they were, through the process that remembered the rows and the key,
        assert {name: http.get(PATH, headers=bearer(name)).json()["data"] for name in (user, other)} == before
        # the history says what happened, and no longer by whom,
        entries = http.get(HISTORY, headers=bearer(user)).json()["data"]
        assert [entry["actor"]["label"] for entry in entries] == ["support", "erased", "erased"]
        # the other's history is whole,
        [entry] = http.get(HISTORY, headers=bearer(other)).json()["data"]
        assert entry["actor"]["label"] == other
        # and who comes back goes on from there, under a new key.
        assert choose(http, user, weekly_usage_digest=False)["product_updates"] is False
        assert http.get(HISTORY, headers=bearer(user)).json()["data"][0]["actor"]["label"] == user
    assert FoldedLog(database_url).faults == []


def test_a_second_erasure_is_a_no_op(serve, erase, user: str, database_url: str) -> None:
    with httpx.Client(base_url=serve().url, timeout=10) as http:
        choose(http, user, product_updates=False)
    erase(user)
    once = dump(database_url)
    assert erase(user) == f"Nothing to erase: there is no key of {user} of org_math."
    # What differs from one dump to the next is a token that keeps psql from being led astray.
    assert [re.sub(r"^\\(un)?restrict .*", "", text, flags=re.M) for text in (dump(database_url), once)] == [
        re.sub(r"^\\(un)?restrict .*", "", once, flags=re.M)
    ] * 2


def test_events_older_than_sealing_are_told_of(
    serve, folder, user: str, database_url: str, monkeypatch, capsys
) -> None:
    with httpx.Client(base_url=serve().url, timeout=10) as http:
        choose(http, user, product_updates=False)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE preferences_events SET sealed_actor = '', state = convert_to((convert_from(state, 'UTF8')::jsonb "
            "|| jsonb_build_object('actor', jsonb_build_object('user', %s::text)))::text, 'UTF8') "
            "WHERE originator_version = 1",
            [user],
        )
    result = Command(folder / "data", database_url).inside(
        monkeypatch, capsys, "erase", "--org", "org_math", "--user", user
    )
    assert (result.returncode, "is erased" in result.stdout) == (1, True)
    assert "Older than sealing, naming who acted in the open: 1 event." in result.stderr


async def test_while_the_user_goes_on_choosing_nothing_is_lost_and_nothing_unreadable(
    serve: Callable[..., Server], database_url: str, user: str
) -> None:
    """Each change is sealed under a key that is there, or one that an erasure after it destroyed; never under a lost one."""
    server = serve()
    done = asyncio.Event()

    async def keep_choosing() -> int:
        count = 0
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            while not done.is_set():
                body = {"email": {"product_updates": bool(count % 2)}}
                assert (await http.patch(PATH, json=body, headers=bearer(user))).status_code == 200
                count += 1
        return count

    choosing = asyncio.create_task(keep_choosing())
    erased = 0
    for _ in range(15):
        await asyncio.sleep(0.05)
        erased += (await bootstrap.erasure.erase(database_url, "org_math", user)).destroyed
    done.set()
    count = await choosing
    assert erased > 1
    log = FoldedLog(database_url)
    assert log.faults == []
    with psycopg.connect(database_url) as connection:
        topics = [
            row[0] for row in connection.execute("SELECT topic FROM preferences_events ORDER BY originator_version")
        ]
    assert topics.count("notification-preferences.toggled") == count
    assert topics.count("notification-preferences.erased") == erased
    # What was chosen after the last erasure can be read: whoever had the old key in hand was refused, and took a new one.
    last = len(topics) - topics[::-1].index("notification-preferences.erased")
    readable = [event for events in log.events_of.values() for event in events if event.originator_version > last]
    assert all(event.actor["user"] == user for event in readable)


def test_who_only_read_is_erased_from_the_record_of_reading(serve, erase, user: str, database_url: str) -> None:
    # Given an admin who has chosen nothing, and is known for having read
    with httpx.Client(base_url=serve().url, timeout=10, headers=bearer(user, role="admin")) as http:
        assert http.get("/v1/audit-log").status_code == 200
        assert user in dump(database_url)
        # when she is erased, again after she has come back, then nobody can say that it was her.
        for _ in range(2):
            assert erase(user) == f"{user} of org_math had no key, and is erased from the record of reading."
            assert user not in dump(database_url)
            assert http.get("/v1/audit-log").status_code == 200
    erase(user)
    assert erase(user) == f"Nothing to erase: there is no key of {user} of org_math."
