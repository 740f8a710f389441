"""A server that refuses: writes, because it is read-only, or the login, because the password was changed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from domain.errors import Unavailable
from infrastructure.log.readiness import readiness
from infrastructure.postgres.connection import LoginRefused, ReadOnly, translated
from infrastructure.postgres.database import Database

WRITE = "CREATE TABLE IF NOT EXISTS written (number integer)"


def read_only(url: str, on: bool) -> None:
    """Whether sessions that begin from now on may write. Those that are there stay as they are."""
    with psycopg.connect(f"{url}&options=-cdefault_transaction_read_only%3Doff", autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        connection.execute(statement.format(sql.Identifier(connection.info.dbname), sql.Literal(on)))


async def comes_about(what: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def writes(database: Database) -> bool:
    try:
        await database.execute(WRITE)
    except ReadOnly:
        return False
    return True


async def several(database: Database) -> None:
    """Make all connections that the pool may have."""
    await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.1)") for _ in range(3)))


async def test_when_writes_are_refused_no_longer_they_are_taken_within_a_second(database_url: str) -> None:
    # Given a pool whose connections all lead to where nothing may be written
    read_only(database_url, True)
    async with Database(database_url, size=3) as database:
        await several(database)
        assert not await writes(database)
        # when that is over, for those who connect from then on,
        read_only(database_url, False)
        # then the pool is among them, though none of its connections was cut.
        await comes_about(lambda: writes(database), 2)
        for _ in range(3):
            await asyncio.gather(*(database.execute("CREATE TEMP TABLE x (n integer); DROP TABLE x") for _ in range(3)))


async def test_a_server_that_refuses_writes_is_asked_for_new_connections_twice_a_second_at_most(
    database_url: str,
) -> None:
    read_only(database_url, True)
    async with Database(database_url, size=3) as database:
        await several(database)
        before = database._pool.get_stats()["connections_num"]
        began = time.monotonic()
        for _ in range(300):
            assert not await writes(database)
        renewals = (time.monotonic() - began) / 0.5 + 1
        assert database._pool.get_stats()["connections_num"] - before <= renewals * 3


async def test_readiness_says_so_and_finds_out_by_itself_when_it_is_over(database_url: str) -> None:
    async def ready() -> bool:
        return (await readiness(database)).database is None

    read_only(database_url, True)
    async with Database(database_url, size=1) as database:
        found = await readiness(database)
        assert found.database == "refuses writes: it is read-only"
        assert found.applied
        read_only(database_url, False)
        await comes_about(ready, 2)


async def test_a_password_that_was_changed_is_told_as_such_and_read_anew_from_its_file(
    database_url: str, folder: Path
) -> None:
    # Given a role whose password stands in a file
    name = f"rotated_{urlsplit(database_url).path.removeprefix('/')}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        role, database_name = sql.Identifier(name), sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'old'").format(role))
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database_name, role))
    passwords = folder / "passwords"

    def write_down(password: str) -> None:
        passwords.write_text(f"*:*:*:{name}:{password}\n")
        passwords.chmod(0o600)

    write_down("old")
    url = urlunsplit(urlsplit(database_url)._replace(netloc=f"{name}@")) + f"&passfile={passwords}"
    async with Database(url, size=1, connect_within=2) as database:
        assert await database.fetch("SELECT 1") == [(1,)]
        # when it is changed, and the connections are cut,
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD 'new'").format(role))
            connection.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = %s", [name]
            )
        # then that is what is said, in the log and by /readyz,
        with pytest.raises(LoginRefused, match=f'password authentication failed for user "{name}"'):
            await database.fetch("SELECT 1")
        assert (await readiness(database)).database == "refuses the login"
        # until the file has the new one.
        write_down("new")
        assert await database.fetch("SELECT 1") == [(1,)]


async def test_why_there_is_no_connection_is_said() -> None:
    async with Database("postgresql://127.0.0.1:1/nowhere", connect_within=0.5) as database:
        with pytest.raises(Unavailable, match=r"no connection to the database within 0.5 s: .*refused"):
            await database.fetch("SELECT 1")


@pytest.mark.parametrize(
    "said",
    [
        'no pg_hba.conf entry for host "10.0.0.1", user "ada", database "preferences", no encryption',
        'pg_hba.conf rejects connection for host "10.0.0.1", user "ada", database "preferences", no encryption',
        'Peer authentication failed for user "ada"',
        'certificate authentication failed for user "ada"',
        'permission denied for database "preferences"\nDETAIL:  User does not have CONNECT privilege.',
    ],
)
def test_each_way_to_refuse_a_login_is_known_by_its_sentence_and_told_in_one_line(said: str) -> None:
    ours = translated(psycopg.OperationalError(f"connection failed: FATAL:  {said}"))
    assert isinstance(ours, LoginRefused)
    assert str(ours) == f"the database refuses the login: connection failed: FATAL: {' '.join(said.split())}"
