"""How a session with PostgreSQL begins: what an operator says wins, except where a promise of the service rests on it."""

import ast
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.evidence.log_tree import PostgresTreeStore
from infrastructure.feed.log_watch import PostgresLogWatch
from infrastructure.followers.runner import FollowerRunner
from infrastructure.postgres.connection import NoAnswer
from infrastructure.postgres.session import Session, connect, connect_blocking
from infrastructure.preferences.shadow_table import ShadowTable
from tests.support.ledger import TABLE, Ledger, record
from tests.support.patient_database import patient_database
from tests.support.processes import freeze, thaw

HOUSE = Path(__file__).parents[3]
TESTED = Session(application="test_session")


def alter(url: str, setting: str, value: str) -> None:
    """What all sessions of a database have from their beginning, unless they say otherwise."""
    with psycopg.connect(url, autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
        connection.execute(
            statement.format(sql.Identifier(connection.info.dbname), sql.Identifier(setting), sql.Literal(value))
        )


async def shown(url: str, setting: str, session: Session = TESTED) -> str:
    async with await connect(url, session) as connection:
        [(value,)] = await connection.rows(f"SHOW {setting}")
    with connect_blocking(url, session) as blocking:
        assert blocking.execute(f"SHOW {setting}".encode()).fetchone() == (value,)
    return value


# What our promises rest on


@pytest.mark.parametrize(
    ("of_the_database", "ours"),
    [("off", "on"), ("local", "on"), ("on", "on"), ("remote_write", "remote_write"), ("remote_apply", "remote_apply")],
)
async def test_an_answer_means_that_it_is_on_the_disk_whatever_the_database_says(
    database_url: str, of_the_database: str, ours: str
) -> None:
    alter(database_url, "synchronous_commit", of_the_database)
    assert await shown(database_url, "synchronous_commit") == ours
    async with patient_database(database_url, size=1) as database:
        assert await database.fetch("SHOW synchronous_commit") == [(ours,)]
    with PostgresTreeStore(database_url).exclusively() as tree:
        assert tree._connection.execute("SHOW synchronous_commit").fetchone() == (ours,)


@pytest.mark.parametrize(
    ("setting", "of_the_database", "ours"),
    [
        ("default_transaction_isolation", "serializable", "read committed"),
        ("standard_conforming_strings", "off", "on"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("timezone", "Europe/Berlin", "UTC"),
        ("datestyle", "German", "ISO, MDY"),
        ("intervalstyle", "iso_8601", "postgres"),
        ("statement_timeout", "60ms", "0"),
        ("lock_timeout", "60ms", "0"),
        ("idle_in_transaction_session_timeout", "60ms", "0"),
        ("idle_session_timeout", "60s", "0"),
        ("transaction_timeout", "60ms", "0"),
        ("client_connection_check_interval", "0", "1s"),
    ],
)
async def test_what_else_our_promises_rest_on_is_ours_whatever_the_database_and_the_url_say(
    database_url: str, setting: str, of_the_database: str, ours: str
) -> None:
    alter(database_url, setting, of_the_database)
    assert await shown(database_url, setting) == ours
    options = quote(f"-c {setting}={of_the_database.replace(' ', '')}")
    assert await shown(f"{database_url}&options={options}", setting) == ours


class Looking(Ledger):
    """A follower that looks at its own session."""

    async def handle(self, events: Any, transaction: psycopg.AsyncConnection[Any]) -> None:
        await super().handle(events, transaction)
        self.found = (await (await transaction.execute("SHOW synchronous_commit")).fetchone())[0]


@pytest.mark.parametrize(("elsewhere", "found"), [(False, "off"), (True, "on")])
async def test_a_follower_waits_for_the_disk_only_where_its_effect_is_elsewhere(
    database_url: str, elsewhere: bool, found: str
) -> None:
    async def stands_at(position: int) -> int:
        return position

    alter(database_url, "synchronous_commit", "local")
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLE)
    await record(database_url, 1)
    follower, stop = Looking(), asyncio.Event()
    runner = FollowerRunner(database_url, follower, stands_at=stands_at if elsewhere else None, poll=0.05)
    running = asyncio.create_task(runner.run(stop))
    async with asyncio.timeout(10):
        while not follower.batches:  # noqa: ASYNC110 - a follower tells nobody
            await asyncio.sleep(0.02)
    stop.set()
    await running
    assert follower.found == found


# What the URL says wins


async def test_options_of_the_url_are_merged_with_ours(database_url: str) -> None:
    url = f"{database_url}&options={quote('-csearch_path=prefs,public -c work_mem=7MB')}"
    assert await shown(url, "search_path") == "prefs,public"
    async with patient_database(url, size=1, options="-c jit=off -c work_mem=9MB") as database:
        assert await database.fetch("SHOW search_path") == [("prefs,public",)]
        assert await database.fetch("SHOW work_mem") == [("9MB",)]
        assert await database.fetch("SHOW jit") == [("off",)]


async def test_the_name_is_ours_unless_the_url_or_the_environment_has_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await shown(database_url, "application_name") == "test_session"
    assert await shown(f"{database_url}&application_name=theirs", "application_name") == "theirs"
    monkeypatch.setenv("PGAPPNAME", "everywhere")
    assert await shown(database_url, "application_name") == "everywhere"


async def test_keepalives_and_time_to_connect_are_ours_unless_the_url_or_the_environment_says_otherwise(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(connection: psycopg.AsyncConnection[Any], name: str) -> str:
        return conninfo_to_dict(connection.info.dsn).get(name) or connection.info.get_parameters().get(name, "")

    async with await connect(database_url, TESTED) as connection:
        assert said(connection, "keepalives_idle") == "3"
        assert said(connection, "connect_timeout") == "2"
    async with await connect(f"{database_url}&keepalives_idle=77&connect_timeout=9", TESTED) as connection:
        assert said(connection, "keepalives_idle") == "77"
        assert said(connection, "keepalives_count") == "2"
        assert said(connection, "connect_timeout") == "9"
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    async with await connect(database_url, TESTED) as connection:
        assert said(connection, "connect_timeout") in ("", "7")


@pytest.fixture
def service_file(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database as a service of PostgreSQL's own file, with its password in another; the user's name stays unsaid."""
    of = conninfo_to_dict(database_url)
    passwords = folder / "passwords"
    passwords.write_text(f"*:*:*:{of['user']}:{of['password']}\n")
    passwords.chmod(0o600)
    file = folder / "services"
    file.write_text(
        "# ours\n[prefs]\n"
        f"host=/nowhere,{of['host']}\nport={of['port']},{of['port']}\ndbname={of['dbname']}\nuser={of['user']}\n"
        f"passfile={passwords}\nkeepalives_idle=66\napplication_name=from the file\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    return "prefs"


@pytest.mark.parametrize("url", ["postgresql:///?service=prefs", "postgresql://"])
async def test_a_service_of_postgresqls_own_file_is_as_good_as_a_url(
    service_file: str, database_url: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "service" not in url:
        monkeypatch.setenv("PGSERVICE", service_file)
    async with await connect(url, TESTED) as connection:
        assert connection.info.dbname == conninfo_to_dict(database_url)["dbname"]
        assert connection.info.get_parameters()["keepalives_idle"] == "66"
        assert await connection.rows("SHOW application_name") == [("from the file",)]


async def test_a_service_that_is_not_in_the_file_is_said_so(service_file: str) -> None:
    with pytest.raises(psycopg.OperationalError, match='definition of service "other" not found'):
        await connect("postgresql:///?service=other", TESTED)


async def test_of_several_servers_the_one_that_takes_writes_is_found(database_url: str) -> None:
    of = conninfo_to_dict(database_url)
    several = make_conninfo("", **{**of, "host": f"/nowhere,{of['host']}", "port": f"{of['port']},{of['port']}"})
    async with await connect(f"{several} target_session_attrs=read-write", TESTED) as connection:
        assert await connection.rows("SELECT 1") == [(1,)]
    alter(database_url, "default_transaction_read_only", "on")
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        await connect(f"{several} target_session_attrs=read-write", TESTED)


# Nothing waits for ever


@pytest.fixture
def frozen(postgres: EmbeddedPostgres) -> Iterator[Callable[[int], None]]:
    """Lets a backend stand still until the end of the test."""
    pids: list[int] = []
    yield lambda pid: pids.extend(freeze(pid))
    thaw(pids)


async def test_a_server_that_stands_still_is_given_up(database_url: str, frozen: Callable[[int], None]) -> None:
    impatient = Session(application="test_session", answer_within=0.3)
    async with await connect(database_url, impatient) as connection:
        frozen(connection.info.backend_pid)
        async with asyncio.timeout(3):
            with pytest.raises(NoAnswer):
                await connection.execute("SELECT 1")
    assert connection.closed
    with connect_blocking(database_url, impatient) as blocking:
        frozen(blocking.info.backend_pid)
        with pytest.raises(NoAnswer):
            blocking.execute("SELECT 1")
    assert blocking.closed


async def test_to_wait_for_a_notification_is_not_to_wait_for_an_answer(database_url: str) -> None:
    async with await connect(database_url, Session(application="test_session", answer_within=0.1)) as connection:
        await connection.execute("LISTEN nothing")
        assert [notified async for notified in connection.notifies(timeout=0.4)] == []
        assert await connection.rows("SELECT 1") == [(1,)]


# One way


def test_nothing_else_in_the_house_opens_a_connection() -> None:
    opening = {"psycopg.connect", "psycopg.Connection.connect", "psycopg.AsyncConnection.connect"}
    pools = {"AsyncConnectionPool", "ConnectionPool", "NullConnectionPool", "AsyncNullConnectionPool"}
    ours = {"Connection.connect", "BlockingConnection.connect"}
    found: dict[str, set[str]] = {}
    for package in ("api", "application", "domain", "infrastructure", "projections"):
        for file in (HOUSE / package).rglob("*.py"):
            called = {
                ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
            }
            if opens := called & (opening | pools | ours):
                found[str(file.relative_to(HOUSE))] = opens
    assert found == {"infrastructure/postgres/session.py": {*ours, "AsyncConnectionPool"}}


async def test_each_part_of_the_service_keeps_to_the_rules(database_url: str) -> None:
    alter(database_url, "timezone", "Europe/Berlin")
    url = f"{database_url}&application_name=operators"

    async def seen(connection: psycopg.AsyncConnection[Any]) -> tuple[str, ...]:
        cursor = await connection.execute("SELECT current_setting('timezone'), current_setting('application_name')")
        return await cursor.fetchone()

    async with ShadowTable.open(url) as shadow, PostgresLogWatch.open(url, "watcher") as watch:
        assert await seen(shadow._connection) == ("UTC", "operators")
        assert await seen(watch._connection) == ("UTC", "operators")
