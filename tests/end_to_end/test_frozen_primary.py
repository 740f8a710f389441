"""A primary that is frozen while its clients stay connected, and a standby that is promoted: everything goes on there."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest

from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.followers.runner import FollowerRunner
from tests.support import eventually
from tests.support.catalogues import publish
from tests.support.clusters import ReadyCluster
from tests.support.figures import figures
from tests.support.ledger import TABLE, Ledger, positions, written_down
from tests.support.processes import freeze, thaw
from tests.support.promoted_standby import either, promote, standby_of
from tests.support.server import PATH, Server
from tests.support.tokens import bearer


@dataclass
class Pair:
    primary: EmbeddedPostgres
    standby: EmbeddedPostgres

    @property
    def url(self) -> str:
        return either(self.primary.url, self.standby.url)

    def has_all(self) -> bool:
        """Whether the standby has received what the primary has written."""
        with psycopg.connect(self.primary.url) as connection:
            query = "SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication"
            return bool(connection.execute(query).fetchone()[0])


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of each test alone: each has a pair of servers of its own."""
    with TemporaryDirectory(prefix="preferences-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


@pytest.fixture
def pair(ready_cluster: ReadyCluster, folder: Path) -> Iterator[Pair]:
    with EmbeddedPostgres(ready_cluster.copy_to(folder / "primary")) as primary:
        asyncio.run(publish(primary.url))
        with psycopg.connect(primary.url) as connection:
            connection.execute(TABLE)
        with standby_of(primary, folder / "standby") as standby:
            yield Pair(primary, standby)


def followed(url: str) -> bool:
    return written_down(url) == positions(url)


@asynccontextmanager
async def running(url: str, *followers: Ledger) -> Any:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(FollowerRunner(url, follower, poll=0.2).run(stop)) for follower in followers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_all_goes_on_at_the_standby_within_ten_seconds_of_its_promotion(
    pair: Pair, folder: Path, record_property
) -> None:
    def choose(on: bool) -> int:
        body = {"email": {"product_updates": on}}
        return httpx.patch(f"{server.url}{PATH}", json=body, headers=bearer("user_ada"), timeout=10).status_code

    def signed() -> int:
        with psycopg.connect(pair.standby.url) as connection:
            return connection.execute("SELECT coalesce(max(position), 0) FROM checkpoints").fetchone()[0]

    async def until(condition: Callable[[], object]) -> float:
        await asyncio.to_thread(eventually.until, condition)
        return round(time.monotonic() - began, 1)

    began = time.monotonic()
    async with AsyncExitStack() as stack:
        # Given a service that signs its log, and a follower's leader, and another one that stands by, all connected to the primary,
        settings = {"followers": "on", "checkpoint_interval": 1, "data_dir": folder / "evidence"}
        server = await asyncio.to_thread(stack.enter_context, Server(pair.url, **settings))
        await stack.enter_async_context(running(pair.url, Ledger(), Ledger()))
        assert await asyncio.to_thread(choose, False) == 200
        await until(lambda: followed(pair.primary.url))
        await until(lambda: signed() == positions(pair.primary.url)[-1])
        await until(pair.has_all)
        # when the primary stands still without a word, and the standby takes its place,
        stack.callback(thaw, freeze(pair.primary.pid))
        await asyncio.to_thread(promote, pair.standby)
        began = time.monotonic()
        # then changes are taken in there, followed, and signed.
        answered = await until(lambda: choose(True) == 200)
        took_over = await until(lambda: followed(pair.standby.url))
        last = await until(lambda: signed() == positions(pair.standby.url)[-1])
    figures(record_property, answered_after=answered, followed_after=took_over, signed_after=last)
    assert took_over < 10
    assert last < 20


def test_when_the_primary_becomes_read_only_and_cuts_nobody_changes_are_taken_in_at_the_other_within_seconds(
    pair: Pair, record_property
) -> None:
    def status(method: str, path: str) -> int:
        body = {"email": {"product_updates": False}} if method == "PATCH" else None
        return httpx.request(
            method, f"{server.url}{path}", json=body, headers=bearer("user_ada"), timeout=10
        ).status_code

    with Server(pair.url) as server:
        assert status("PATCH", PATH) == status("GET", "/readyz") == 200
        eventually.until(pair.has_all)
        # Given a primary that an operator, or a provider, has made read-only, while nothing else is there,
        with psycopg.connect(pair.primary.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
        # then the service isn't ready,
        eventually.until(lambda: status("GET", "/readyz") == 503)
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        # and when the standby takes its place
        promote(pair.standby)
        began = time.monotonic()
        # then it is ready, and takes changes, at once.
        eventually.until(lambda: status("PATCH", PATH) == 200)
        eventually.until(lambda: status("GET", "/readyz") == 200)
        seconds = round(time.monotonic() - began, 1)
    figures(record_property, answered_after=seconds)
    assert seconds < 5
