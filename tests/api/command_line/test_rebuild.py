"""`preferences rebuild`."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from application import rebuild
from domain.preferences import stream_id
from tests.support.command import Command
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

USERS = [f"user_{number}" for number in range(5)]


def rows(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT * FROM current_preferences ORDER BY originator_id").fetchall()


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        return [name for (name,) in found]


@pytest.fixture
def chosen(database_url: str) -> str:
    """A database in which five users have chosen; its URL."""
    with Server(database_url) as server, httpx.Client(base_url=server.url) as http:
        for user in USERS:
            for body in ('{"email": {"weekly_usage_digest": true}}', '{"email": {"product_updates": false}}'):
                assert http.patch(PATH, content=body, headers=bearer(user)).status_code == 200
    return database_url


def tamper(url: str) -> None:
    """One row says what the log doesn't, another is gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE current_preferences SET choices = '{\"email.product_updates\": true}' WHERE originator_id = %s",
            [stream_id("org_math", USERS[0])],
        )
        connection.execute(
            "DELETE FROM current_preferences WHERE originator_id = %s", [stream_id("org_math", USERS[1])]
        )


def test_what_is_equal_stays_equal(preferences: Command, inside, chosen: str) -> None:
    before, schema = rows(chosen), tables(chosen)
    result = preferences("rebuild")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "15 events, 5 users, up to position 15"
    assert lines[1].split()[-1] == lines[2].split()[-1]
    assert re.fullmatch(r"[0-9a-f]{64}", lines[1].split()[-1])
    assert lines[3] == "equal; swapped"
    assert "reading the log" in result.stderr
    assert (rows(chosen), tables(chosen)) == (before, schema)

    compared = inside("rebuild", "--compare-only")
    assert (compared.returncode, compared.stdout.splitlines()[3]) == (0, "equal")


def test_what_differs_is_named_and_put_right(inside, chosen: str) -> None:
    before = rows(chosen)
    tamper(chosen)
    tampered = rows(chosen)

    compared = inside("rebuild", "--compare-only")
    assert compared.returncode == 1
    assert rows(chosen) == tampered
    swapped = inside("rebuild")
    assert swapped.returncode == 1
    assert rows(chosen) == before
    for result in (compared, swapped):
        named = [line for line in result.stdout.splitlines() if line.startswith("  ")]
        assert len(named) == 2
        assert all("org_math" in line for line in named)
        assert all(any(user in line for line in named) for user in USERS[:2])
        assert "not equal: 2 users" in result.stdout
    assert inside("rebuild").returncode == 0


def test_what_a_killed_rebuild_left_behind_is_no_obstacle(inside, chosen: str) -> None:
    before, schema = rows(chosen), tables(chosen)
    with psycopg.connect(chosen, autocommit=True) as connection:
        connection.execute("CREATE TABLE current_preferences_rebuild (LIKE current_preferences INCLUDING ALL)")
        connection.execute("INSERT INTO current_preferences_rebuild SELECT * FROM current_preferences")
    assert inside("rebuild").returncode == 0
    assert (rows(chosen), tables(chosen)) == (before, schema)


def test_of_two_at_once_the_second_is_refused(inside, chosen: str) -> None:
    with psycopg.connect(chosen, autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(7305114882903)")
        second = inside("rebuild")
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.splitlines()[-1] == "error: another rebuild is under way"
        # The table of the one that is under way is not the second one's to drop.
        assert rows(chosen)
    assert inside("rebuild").returncode == 0


async def test_while_users_change_their_preferences_nothing_fails_and_nothing_is_lost(
    preferences: Command, chosen: str
) -> None:
    asked: dict[str, bool] = dict.fromkeys(USERS, True)
    done = asyncio.Event()

    async def keep_changing(http: httpx.AsyncClient, user: str) -> int:
        headers, count = bearer(user), 0
        while not done.is_set():
            enabled = not asked[user]
            content = json.dumps({"email": {"weekly_usage_digest": enabled}})
            response = await http.patch(PATH, content=content, headers=headers)
            assert response.status_code == 200
            assert response.json()["data"]["email"]["weekly_usage_digest"] is enabled
            asked[user] = enabled
            read = await http.get(PATH, headers=headers)
            assert read.json()["data"] == response.json()["data"]
            count += 1
            await asyncio.sleep(0.01)
        return count

    with Server(chosen) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            writers = [asyncio.create_task(keep_changing(http, user)) for user in USERS]
            results = [await asyncio.to_thread(preferences, "rebuild") for _ in range(2)]
            done.set()
            counts = await asyncio.gather(*writers)
    assert [result.returncode for result in results] == [0, 0]
    assert all(count > 0 for count in counts)
    final = {row[0]: row for row in rows(chosen)}
    for user, count in zip(USERS, counts, strict=True):
        _, version, _, _, choices = final[stream_id("org_math", user)]
        assert version == 3 + count
        assert choices == {"email.weekly_usage_digest": asked[user], "email.product_updates": False}
    assert await asyncio.to_thread(lambda: preferences("rebuild", "--compare-only").returncode) == 0


@contextmanager
def dumping(url: str) -> Iterator[int]:
    """What pg_dump does: it reads a table and holds all of them until it has ended. Gives its process."""
    with psycopg.connect(url, application_name="pg_dump") as dump:
        tables = dump.execute("SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            dump.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        yield dump.info.backend_pid


async def test_while_the_database_is_dumped_users_are_served_and_the_swap_waits_for_its_end(
    preferences: Command, chosen: str
) -> None:
    with Server(chosen) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            with dumping(chosen):
                tamper(chosen)
                rebuilding = asyncio.create_task(asyncio.to_thread(preferences, "rebuild"))
                for number in range(100):
                    content = json.dumps({"email": {"weekly_usage_digest": number % 2 == 0}})
                    written = await http.patch(PATH, content=content, headers=bearer(USERS[2]))
                    read = await http.get(PATH, headers=bearer(USERS[2]))
                    assert (written.status_code, read.status_code) == (200, 200)
                    assert read.json()["data"] == written.json()["data"]
                    await asyncio.sleep(0.01)
                assert not rebuilding.done()
            result = await rebuilding
    assert result.stdout.splitlines()[-1] == "not equal: 2 users; the live table now says what the log says"
    assert await asyncio.to_thread(lambda: preferences("rebuild", "--compare-only").returncode) == 0


def test_a_dump_that_takes_too_long_is_named(inside, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "ATTEMPTS", 2)
    tamper(chosen)
    before, schema = rows(chosen), tables(chosen)
    with dumping(chosen) as process:
        result = inside("rebuild")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"error: the preferences are held by process {process} (pg_dump); nothing was changed, try again later"
    )
    assert (rows(chosen), tables(chosen)) == (before, schema)


def test_a_shadow_that_is_being_dumped_stays_for_the_next_rebuild(inside, chosen: str) -> None:
    with psycopg.connect(chosen, autocommit=True) as connection:
        connection.execute("CREATE TABLE current_preferences_rebuild (LIKE current_preferences)")
    with dumping(chosen) as process:
        result = inside("rebuild", "--compare-only")
    assert result.stderr.splitlines()[-1].startswith(f"error: the preferences are held by process {process} (pg_dump)")
    assert inside("rebuild").returncode == 0


def test_the_table_is_kept_as_it_was_and_everybody_may_what_they_might(preferences: Command, chosen: str) -> None:
    def kept() -> tuple[Any, ...]:
        query = "SELECT reloptions, relacl::text, relowner FROM pg_class WHERE relname = 'current_preferences'"
        with psycopg.connect(chosen) as connection:
            return connection.execute(query).fetchone()

    with psycopg.connect(chosen, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON current_preferences TO pg_monitor WITH GRANT OPTION")
        connection.execute("GRANT SELECT, UPDATE ON current_preferences TO PUBLIC")
        connection.execute("ALTER TABLE current_preferences SET (autovacuum_vacuum_cost_delay = 1)")
    before = kept()
    assert preferences("rebuild").returncode == 0
    assert kept() == before
    assert before[0] == ["fillfactor=70", "autovacuum_vacuum_cost_delay=1"]
