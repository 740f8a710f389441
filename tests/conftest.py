"""One PostgreSQL for each test process, migrated once into a template; a database of its own for each test that wants one."""

import asyncio
import gc
import itertools
import logging
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack
from logging.handlers import BufferingHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
import structlog
from hypothesis import is_hypothesis_test, settings
from psycopg.conninfo import conninfo_to_dict

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.catalogues import publish
from tests.support.clusters import ReadyCluster, hash_passwords_quickly
from tests.support.forked import close_nursery
from tests.support.links import FORMER_SECRET, PUBLIC_URL, SECRET
from tests.support.measurement import Measurement
from tests.support.memory import in_memory
from tests.support.partitioned import migrated
from tests.support.server import Server
from tests.support.soak import rounds

_NUMBERS = itertools.count(1)
_SLOW = ("deploy", "end_to_end", "examples", "clients")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("house", max_examples=rounds(25, 500), deadline=None)
    settings.load_profile("house")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    measurement = Measurement(session.config)
    session.config.pluginmanager.register(measurement)
    # Thousands of tests and modules stay until the end, so the garbage collector need not walk them again and again.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Slow files first: one that began last would run alone in the end.
    items.sort(key=lambda item: _room(item) not in _SLOW)
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("soak")


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


@pytest.fixture(autouse=True)
def _nothing_unheard() -> Iterator[None]:
    """An error that a task left to nobody fails the test; asyncio itself only logs it."""
    heard = BufferingHandler(capacity=1_000)
    heard.setLevel(logging.ERROR)
    logger = logging.getLogger("asyncio")
    logger.addHandler(heard)
    yield
    logger.removeHandler(heard)
    assert [record.getMessage() for record in heard.buffer] == []


@pytest.fixture(scope="session", autouse=True)
def _hang_ups_are_not_ignored() -> None:
    """Under `nohup` a service ignores SIGHUP, as it should. The tests that send one start services that don't, however they run."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _no_authorities() -> Iterator[None]:
    """No test asks the internet anything. An HTTP client that reads the certificates of all authorities takes 20 ms to be made."""
    with TemporaryDirectory(prefix="preferences-test-") as none, pytest.MonkeyPatch.context() as patch:
        Path(none).chmod(0o755)
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", none)
        yield


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """By default structlog draws tracebacks with the values of all variables, which takes seconds."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


@pytest.fixture(scope="session", autouse=True)
def _nursery() -> Iterator[None]:
    yield
    close_nursery()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account reaches, unlike pytest's own: for root, PostgreSQL runs as another."""
    with TemporaryDirectory(prefix="preferences-test-", dir=in_memory()) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    # pytest's own folders are closed to other users, and root's PostgreSQL runs as another user.
    with TemporaryDirectory(prefix="preferences-test-", dir=in_memory()) as folder:
        Path(folder).chmod(0o755)
        # What is about a loss of power, or of PostgreSQL, has a server of its own. Autovacuum would start a process for each of
        # hundreds of databases again and again.
        relaxed = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "1d", "max_wal_size": "128MB"}
        with EmbeddedPostgres(Path(folder), settings=relaxed) as server:
            hash_passwords_quickly(server.url)
            yield server


@pytest.fixture(scope="session")
def administration(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """Makes and drops the databases of the tests."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def ready_cluster() -> Iterator[ReadyCluster]:
    """What a test copies that wants a PostgreSQL of its own, to be killed or frozen."""
    with TemporaryDirectory(prefix="preferences-test-", dir=in_memory()) as folder:
        Path(folder).chmod(0o755)
        yield ReadyCluster(Path(folder))


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, administration: psycopg.Connection) -> str:
    administration.execute("CREATE DATABASE template_preferences")
    migrated(postgres.database_url("template_preferences"))
    return "template_preferences"


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres, administration: psycopg.Connection, template: str) -> Callable[..., str]:
    """Makes an empty, migrated database, or one like that at a URL, which has no connections; its URL."""

    def make(like: str | None = None) -> str:
        name = f"test_{next(_NUMBERS)}"
        copied = template if like is None else conninfo_to_dict(like)["dbname"]
        administration.execute(f"CREATE DATABASE {name} TEMPLATE {copied} STRATEGY FILE_COPY")
        return postgres.database_url(name)

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str], administration: psycopg.Connection) -> Iterator[str]:
    url = new_database()
    yield url
    administration.execute(f"DROP DATABASE IF EXISTS {conninfo_to_dict(url)['dbname']} WITH (FORCE)")


@pytest.fixture
def serve(database_url: str) -> Iterator[Callable[..., Server]]:
    """Starts the service on this test's database, with the settings given."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(Server(settings.pop("database_url", database_url), **settings))


@pytest.fixture(scope="session")
def server(new_database: Callable[[], str]) -> Iterator[Server]:
    """One running service for all tests that only need different users. Its catalogue is published, an `admin` may
    ask whom to write to, and it makes unsubscribe links."""
    url = new_database()
    asyncio.run(publish(url))
    settings = {"unsubscribe_keys": f"{SECRET},{FORMER_SECRET}", "public_url": PUBLIC_URL}
    with Server(url, role_scopes="admin=audit:read,preferences:read", **settings) as running:
        yield running


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        yield client


@pytest.fixture
def fresh_user() -> Callable[[], str]:
    return lambda: f"user_{next(_NUMBERS)}"


@pytest.fixture
def query(server: Server) -> Callable[..., list[Any]]:
    """Runs a statement in the shared service's database."""

    def run(statement: str, parameters: Any = ()) -> list[Any]:
        with psycopg.connect(server.database_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    return run
