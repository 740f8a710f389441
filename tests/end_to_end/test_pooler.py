"""PgBouncer between the service and PostgreSQL: in session mode all works, and any other mode is refused by name."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.postgres import suitability
from infrastructure.postgres.session import Session, UnsuitableDatabase, connect
from tests.support import pooler
from tests.support.command import Command, one_sentence
from tests.support.eventually import until
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

SCOPES = "admin=audit:read,events:read"
ADMIN = bearer("user_admin", "org_math", role="admin")


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> str:
    name = "behind_a_pooler"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.database_url(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of each test alone, and open to the account that runs the pooler."""
    with TemporaryDirectory(prefix="preferences-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_in_session_mode_as_it_comes_everything_works(postgres: EmbeddedPostgres, empty_url: str, folder: Path) -> None:
    with pooler.pooled(postgres, empty_url, folder) as url:
        command = Command(folder / "data", url)
        assert command("migrate").returncode == 0
        checked = command("check")
        assert checked.returncode == 0, checked.stdout
        settings = {"followers": "on", "checkpoint_interval": 1, "data_dir": folder / "data", "role_scopes": SCOPES}
        with Server(url, **settings) as server, httpx.Client(base_url=server.url, timeout=10) as http:
            for number in range(6):
                body = {"email": {"product_updates": bool(number % 2)}}
                assert http.patch(PATH, json=body, headers=bearer("user_ada")).status_code == 200
            assert http.get(PATH, headers=bearer("user_ada")).status_code == 200
            assert http.get("/readyz").status_code == 200
            until(lambda: len(http.get("/v1/audit-log", headers=ADMIN).json()["data"]) == 6)
            listed = command("followers", "list")
            assert "running" in listed.stdout
            live = {"headers": {**ADMIN, "Accept": "text/event-stream"}, "params": {"after": 6}}
            with http.stream("GET", "/v1/events", **live) as stream:
                body = {"email": {"product_updates": False}}
                assert http.patch(PATH, json=body, headers=bearer("user_live")).status_code == 200
                assert any('"user_live"' in line for line in stream.iter_lines())
        assert command("replay", "--to", "jsonl", "--output", str(folder / "log.jsonl")).stdout.startswith("10 events")
        assert command("replay", "--to", "nats", "--output", "pooled").stdout.startswith("10 events")
        assert command("audit", "checkpoint").returncode == 0
        assert command("audit", "verify").returncode == 0
        assert command("rebuild").stdout.endswith("equal; swapped\n")


async def test_what_a_session_needs_is_set_there_too(postgres: EmbeddedPostgres, empty_url: str, folder: Path) -> None:
    # The pooler keeps its connections: one that it had before would not know of the setting.
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE behind_a_pooler SET synchronous_commit = off")
    with pooler.pooled(postgres, empty_url, folder) as url:
        async with await connect(url, Session(application="x", settings={"work_mem": "7MB"})) as connection:
            query = (
                "SELECT current_setting('synchronous_commit'), current_setting('work_mem'), current_setting('timezone')"
            )
            assert await connection.rows(query) == [("on", "7MB", "UTC")]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("more", ["", "default_pool_size = 1"], ids=["as_it_comes", "with_one_connection"])
def test_any_other_mode_is_refused_before_anything_is_done(
    postgres: EmbeddedPostgres, empty_url: str, folder: Path, mode: str, more: str
) -> None:
    with pooler.pooled(postgres, empty_url, folder, mode, more) as url:
        command = Command(folder / "data", url)
        assert "pool_mode = session" in one_sentence(command("migrate"))
        assert "pool_mode = session" in one_sentence(command("serve", port=0))
        checked = command("check")
    assert checked.returncode == 1
    assert "pool_mode = session" in checked.stdout
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,)


def test_a_pooler_that_uses_its_connections_in_turn_is_refused_though_no_two_sessions_meet(
    postgres: EmbeddedPostgres, empty_url: str, folder: Path
) -> None:
    with pooler.pooled(postgres, empty_url, folder, "transaction", "server_round_robin = 1") as url:
        # given four connections of the pooler, so that two sessions of ours never get the same one by turns
        with ExitStack() as held:
            for _ in range(4):
                held.enter_context(psycopg.connect(url)).execute("SELECT 1")
        with psycopg.connect(url, autocommit=True) as connection:
            numbers = [connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone() for _ in range(8)]
        assert len(set(numbers)) == 4
        with pytest.raises(UnsuitableDatabase, match="pool_mode = session"):
            suitability.refuse(url, durable=False, trusted=True)


def test_options_of_the_url_that_it_does_not_pass_on_are_told_with_what_to_do(
    postgres: EmbeddedPostgres, empty_url: str, folder: Path
) -> None:
    with pooler.pooled(postgres, empty_url, folder) as url:
        said = one_sentence(Command(folder / "data", f"{url}?options=-csearch_path%3Dpublic")("migrate"))
    assert "ALTER ROLE … SET" in said
