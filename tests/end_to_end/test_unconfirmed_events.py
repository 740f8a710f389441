"""A commit is visible on its primary although its standby lacks it, because its wait was cancelled. Then the standby is promoted, and the event is
gone. No reader has seen it, no broker has it, and no checkpoint covers it.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nats.errors
import psycopg
import pytest

from infrastructure.embedded.nats_server import NatsServer
from infrastructure.postgres.connection import Unconfirmed
from infrastructure.postgres.database import Database
from tests.support import eventually, processes
from tests.support.catalogues import publish
from tests.support.command import Command
from tests.support.events_client import events_key
from tests.support.feed_readers import FeedReader, reading
from tests.support.figures import figures
from tests.support.handed_on import stored
from tests.support.keep_alive import KeepAlive, Reply
from tests.support.patient_database import patient_database
from tests.support.relays import Relays
from tests.support.server import Server
from tests.support.standby import Pair
from tests.support.tokens import bearer

ON, OFF = ({"email": {"weekly_usage_digest": value}} for value in (True, False))
WAITING = "the end of the log is not confirmed by standbys: readers wait"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Pair.running() as running:
        yield running


@dataclass
class Running:
    """The service, a relay and readers on a pair with a synchronous standby."""

    pair: Pair
    url: str
    server: Server
    broker: NatsServer
    relays: Relays
    readers: Mapping[str, FeedReader]
    checkpoints: Path

    async def change(self, user: str, body: Any) -> Reply:
        async with KeepAlive(self.server.url) as connection:
            return await connection.patch(bearer(user), body)

    async def seen(self, position: int) -> dict[str, bool]:
        """Who has got as far as this position."""
        [(indexed, noted)] = self.query(
            "SELECT (SELECT coalesce(max(position), 0) FROM audit_entries),"
            " (SELECT coalesce(max(position), 0) FROM followers WHERE name = 'relay')"
        )
        handed_on = [0]
        with suppress(nats.errors.Error):  # until the relay has made the stream
            handed_on += [int((message.headers or {})["ce-sequence"]) for message in await stored(self.broker.url)]
        signed = [0]
        if self.checkpoints.exists():
            signed += map(int, re.findall(r"^position (\d+)$", self.checkpoints.read_text(), re.MULTILINE))
        return {
            **{name: position in {one.position for one in reader.seen} for name, reader in self.readers.items()},
            "index": indexed >= position,
            "relay": max([*handed_on, noted]) >= position,
            "checkpoint": max(signed) >= position,
        }

    async def all_see(self, position: int) -> None:
        async with asyncio.timeout(30):
            while not all((await self.seen(position)).values()):  # noqa: ASYNC110 - other processes have no event for it
                await asyncio.sleep(0.05)

    def end(self) -> int:
        return self.query("SELECT max(notification_id) FROM preferences_events")[0][0]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    async def change_without_standby(self) -> tuple[Reply, int]:
        """A change whose wait for the standby is cancelled, and its position."""
        waiting = asyncio.create_task(self.change("user_lost", ON))
        cancel = """
            SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%append_events%'
        """
        await asyncio.to_thread(eventually.until, lambda: self.query(cancel))
        return await waiting, self.end()

    def said(self) -> str:
        self.relays._log.seek(0)
        return self.server.log().decode() + self.relays._log.read().decode()


@asynccontextmanager
async def running(pair: Pair, folder: Path, replication: str) -> Any:
    url = pair.new_database()
    await asyncio.to_thread(pair.follow, synchronous=True)
    await publish(url)
    everything, of_one = await events_key(url), await events_key(url, "org_math")
    settings = {"followers": "on", "checkpoint_interval": 1, "data_dir": folder / "data", "log_level": "info"}
    with (
        NatsServer(folder / "broker") as broker,
        Server(url, database_replication=replication, **settings) as server,
    ):
        relays = Relays(folder, url, [broker.url], log_level="info", database_replication=replication)
        relays.start()
        try:
            async with reading(server.url, everything, of_one) as readers:
                yield Running(pair, url, server, broker, relays, readers, folder / "data" / "checkpoints")
        finally:
            relays.close()


async def test_every_caller_that_commits_learns_that_the_wait_for_the_standby_was_cancelled_and_the_next_one_does_not(
    pair: Pair,
) -> None:
    url, cancel = (
        pair.new_database(),
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
    )
    write = "INSERT INTO person_keys (originator_id, since_version, key) VALUES (gen_random_uuid(), 1, '')"

    async def statement(database: Database) -> None:
        await database.execute(write)

    async def rows(database: Database) -> None:
        await database.write(f"{write} RETURNING key")

    async def transaction(database: Database) -> None:
        async with database.connection() as connection, connection.transaction():
            await connection.rows(f"{write} RETURNING key")

    def cancelled() -> bool:
        with psycopg.connect(pair.primary.url(), autocommit=True) as connection:
            return bool(connection.execute(cancel.encode()).fetchall())

    await asyncio.to_thread(pair.follow, synchronous=True)
    frozen = pair.lag()
    try:
        async with patient_database(url, size=1) as database:
            for commit in (statement, rows, transaction):
                committing = asyncio.create_task(commit(database))
                await asyncio.to_thread(eventually.until, cancelled)
                with pytest.raises(Unconfirmed):
                    await committing
                assert await database.fetch("SELECT 1") == [(1,)]
    finally:
        processes.thaw(frozen)


async def test_what_no_standby_has_is_neither_shown_nor_handed_on_nor_signed(
    pair: Pair, folder: Path, record_property
) -> None:
    async with running(pair, folder, "synchronous") as service:
        # Given a service whose readers have all that its standby has,
        assert (await service.change("user_ada", ON)).status == 200
        await service.all_see(service.end())
        # and a standby that gets nothing any more,
        pair.lag()
        # when a change's wait for the standby is cancelled,
        reply, position = await service.change_without_standby()
        # then it is not acknowledged; it is visible on the primary,
        assert reply.status == 503
        assert service.query(f"SELECT topic FROM preferences_events WHERE notification_id = {position}")
        # and readers, the index, the relay and the checkpoints look for it and stop before it.
        await asyncio.to_thread(eventually.until, lambda: service.said().count(WAITING) >= 3)
        assert not any((await service.seen(position)).values())
        metrics = (await asyncio.to_thread(httpx.get, f"{service.server.url}/metrics")).text
        assert re.search(r"^preferences_replication_standbys 1\.0$", metrics, re.MULTILINE)
        assert re.search(r"^preferences_replication_unconfirmed_bytes [1-9]", metrics, re.MULTILINE)
        # When the standby takes the primary's place,
        await asyncio.to_thread(pair.fail_over)
        await asyncio.to_thread(pair.follow)
        service.relays.revive()
        assert (await service.change("user_ada", OFF)).status == 200
        await service.all_see(service.end())
        # then the event is gone, and no reader has ever seen it.
        log = {row[0] for row in service.query("SELECT notification_id FROM preferences_events")}
        assert position not in log
        for reader in service.readers.values():
            assert {one.position for one in reader.seen} <= log
        assert not (await service.seen(position))["pages"]
        verdict = Command(folder / "data", service.url)("audit", "verify", checkpoint_file=service.checkpoints)
        assert verdict.returncode == 0, verdict
        figures(record_property, position=position, end=service.end())


async def test_without_the_setting_the_event_is_seen_by_all_and_vanishes(pair: Pair, folder: Path) -> None:
    """The control."""
    async with running(pair, folder, "") as service:
        assert (await service.change("user_ada", ON)).status == 200
        await service.all_see(service.end())
        pair.lag()
        reply, position = await service.change_without_standby()
        assert reply.status == 503
        # A checkpoint is in its file before its own commit begins to wait for the standby.
        await service.all_see(position)
        await asyncio.to_thread(pair.fail_over)
        assert not service.query(f"SELECT topic FROM preferences_events WHERE notification_id = {position}")
