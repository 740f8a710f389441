"""PostgreSQL dies while the index of the audit log is made: the index is what the log makes of it, and shows nobody another
organization's events.

The indexer doesn't wait for the disk, so a crash takes back what it was told: its entries, its classes, and how far it had come.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from application.following import Following, Step
from infrastructure.audit.index import AuditIndexer
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.followers.journal import PostgresJournal
from infrastructure.followers.runner import FollowerRunner
from tests.support import audit_index, processes
from tests.support.catalogues import publish
from tests.support.clusters import ReadyCluster
from tests.support.daily_counts import wrong_counts
from tests.support.figures import figures
from tests.support.keep_alive import KeepAlive, NoReply
from tests.support.remembering_indexer import RememberingIndexer
from tests.support.server import Server
from tests.support.soak import SOAK, rounds, soak
from tests.support.tokens import bearer

KILLS = rounds(3, 100)
ORGANIZATIONS = 5
USERS = 4
NEWS_OFF = {"email": {"product_updates": False}}


@pytest.fixture
def postgres(ready_cluster: ReadyCluster, folder: Path, request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """One that may be killed, and whose disk learns late of what nobody waits for, as that of a busy machine does."""
    data_dir = ready_cluster.copy_to(folder / str(abs(hash(request.node.name))))
    with EmbeddedPostgres(data_dir, settings={"wal_writer_delay": "10s"}) as postgres:
        asyncio.run(publish(postgres.url))
        yield postgres


async def step(url: str, indexer: AuditIndexer, *, batch: int = 1000) -> list[Step]:
    """The steps of a follower until it has caught up, on a connection like that of the real runner."""
    options = "-c synchronous_commit=off"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, options=options) as connection:
        journal = PostgresJournal(connection, indexer.name)
        await journal.register()
        following = Following(indexer, journal, largest=batch)
        steps = [await following.step()]
        while steps[-1] is Step.ON:
            steps.append(await following.step())
        return steps


async def switch_off(server: Server, organization: str, user: str) -> None:
    async with KeepAlive(server.url) as connection:
        assert (await connection.patch(bearer(user, organization), NEWS_OFF)).status == 200


async def lose_classes(server: Server, postgres: EmbeddedPostgres, indexer: AuditIndexer) -> None:
    """Two steps of the follower, a crash, and a change in another organization."""
    for user in ("user_ada", "user_bob"):
        await switch_off(server, "org_alpha", user)
    assert await step(postgres.url, indexer, batch=3) == [Step.ON, Step.CAUGHT_UP]
    processes.kill(postgres.pid)
    await asyncio.to_thread(postgres.start)
    await switch_off(server, "org_beta", "user_eve")
    await step(postgres.url, indexer, batch=3)


async def test_after_a_crash_no_organization_is_shown_anothers_users(postgres) -> None:
    with Server(postgres.url, log_level="warning", role_scopes="admin=audit:read,events:read") as server:
        # Given two steps of the indexer that a crash takes back
        await lose_classes(server, postgres, AuditIndexer())
        # when each organization reads its log, then it sees its own users.
        seen = {}
        async with KeepAlive(server.url) as connection:
            for organization in ("org_alpha", "org_beta"):
                for path in ("/v1/audit-log", "/v1/events?type=notification-preferences.toggled.v1"):
                    auditor = bearer("user_grace", organization, role="admin")
                    reply = await connection.get(auditor, path)
                    shown = json.loads(reply.body)["data"]
                    seen[organization, path.partition("?")[0]] = {
                        one["resource"]["id"] if "resource" in one else one["subject"] for one in shown
                    }
    alpha, beta = {"user_ada", "user_bob"}, {"user_eve"}
    assert seen == {
        ("org_alpha", "/v1/audit-log"): alpha,
        ("org_alpha", "/v1/events"): alpha,
        ("org_beta", "/v1/audit-log"): beta,
        ("org_beta", "/v1/events"): beta,
    }
    assert audit_index.differences(postgres.url) == []
    assert wrong_counts(postgres.url) == []


async def test_an_indexer_that_remembers_shows_an_organization_anothers_users(postgres) -> None:
    """The negative control of the above."""
    with Server(postgres.url, log_level="warning", role_scopes="admin=audit:read,events:read") as server:
        await lose_classes(server, postgres, RememberingIndexer())
    assert {(owner, shown_to) for _, owner, shown_to in audit_index.foreign(postgres.url)} == {
        ("org_alpha", "org_beta")
    }


async def change(server: Server, organization: str) -> None:
    """Each user of an organization makes a choice, until PostgreSQL is gone."""
    async with KeepAlive(server.url) as connection:
        for number in range(USERS):
            try:
                await connection.patch(bearer(f"user_{number}", organization), NEWS_OFF)
            except NoReply:
                return


async def killed_again_and_again(postgres: EmbeddedPostgres, indexer: AuditIndexer, kills: int, seed: int) -> None:
    """Organizations that are new in each round change preferences, the indexer follows, PostgreSQL is killed at any moment."""
    chance = random.Random(seed)
    with Server(postgres.url, log_level="error") as server:
        for number in range(kills):
            async with following(postgres.url, indexer) as runner:
                await until_caught_up(postgres.url, runner)
                names = [f"org_{number}_{which}" for which in range(ORGANIZATIONS)]
                changes = [asyncio.create_task(change(server, name)) for name in names]
                await asyncio.sleep(chance.uniform(0.01, 0.15))
                processes.kill(postgres.pid)
                await asyncio.gather(*changes)
            await asyncio.to_thread(postgres.start)
        async with following(postgres.url, indexer) as runner:
            await until_caught_up(postgres.url, runner)


@asynccontextmanager
async def following(url: str, indexer: AuditIndexer) -> AsyncIterator[asyncio.Task[None]]:
    """The real runner. A new one each time spares its pauses after a lost connection; the indexer is the process's own, and stays."""
    stop = asyncio.Event()
    # A little at a time, so that there are many moments to be killed at.
    runner = asyncio.create_task(FollowerRunner(url, indexer, batch=7, poll=0.05, rest=0.001).run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await runner


async def until_caught_up(url: str, following: asyncio.Task[None]) -> None:
    async with asyncio.timeout(30), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            assert not following.done()
            cursor = await connection.execute(
                "SELECT (SELECT position FROM followers WHERE name = 'audit-index'), "
                "(SELECT coalesce(max(notification_id), 0) FROM preferences_events)"
            )
            [(reached, end)] = await cursor.fetchall()
            if reached == end:
                return
            await asyncio.sleep(0.01)


@soak
async def test_killed_at_any_moment_the_index_is_what_the_log_makes_of_it(postgres, record_property) -> None:
    await killed_again_and_again(postgres, AuditIndexer(), KILLS, seed=19)
    assert audit_index.foreign(postgres.url) == []
    assert audit_index.differences(postgres.url) == []
    assert wrong_counts(postgres.url) == []
    with psycopg.connect(postgres.url) as connection:
        [(entries,)] = connection.execute("SELECT count(*) FROM audit_entries").fetchall()
    assert entries > KILLS
    figures(record_property, kills=KILLS, entries=entries)


@soak
@pytest.mark.skipif(
    not SOAK, reason="a few kills don't always catch an indexer that remembers: `make soak` has a hundred"
)
async def test_the_same_harness_sees_an_indexer_that_remembers(postgres, record_property) -> None:
    await killed_again_and_again(postgres, RememberingIndexer(), KILLS, seed=19)
    wrong = audit_index.differences(postgres.url)
    assert wrong
    figures(record_property, kills=KILLS, wrong=len(wrong), foreign=len(audit_index.foreign(postgres.url)))
