"""A cluster of three PostgreSQL servers under Patroni, whose leader is killed, frozen, cut off, and asked to hand over, while two servers take
changes and everything else follows: nothing acknowledged is lost, and nothing that was shown vanishes.

`make soak` does that fifty times, and its servers have two workers each.
"""

import asyncio
import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from domain.preferences import stream_id
from infrastructure.postgres import migrations
from tests.support import processes
from tests.support.catalogues import publish
from tests.support.command import Command
from tests.support.database_balancer import balanced_url, database_balancer
from tests.support.events_client import events_key
from tests.support.feed_readers import FeedReader, Seen, reading
from tests.support.figures import figures
from tests.support.handed_on import Told, faults, patiently, recorded, told
from tests.support.keep_alive import KeepAlive, NoReply
from tests.support.nats_cluster import NatsCluster
from tests.support.patroni_cluster import Node, PatroniCluster
from tests.support.relays import Relays
from tests.support.server import Server
from tests.support.soak import rounds, soak
from tests.support.stream_consumer import consumed
from tests.support.tokens import bearer

WRITERS = 2
"""For each server."""
TOGGLE = "weekly_usage_digest"
PATIENCE = 60.0
ALARMS = ("signed events were lost", "the log was altered", "the settings don't fit", "Traceback")
_DATABASES = itertools.count(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[PatroniCluster]:
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder, PatroniCluster.running(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def balancer(cluster: PatroniCluster) -> Iterator[tuple[str, int]]:
    with database_balancer(cluster) as address:
        yield address


@dataclass
class Writer:
    """A user who switches a toggle to and fro, each time until it is acknowledged. So each acknowledged change is one event."""

    user: str
    acknowledged: int = 0

    async def write(self, url: str, times: list[float]) -> None:
        async with KeepAlive(url) as connection:
            while True:
                body = {"email": {TOGGLE: self.acknowledged % 2 == 0}}
                try:
                    reply = await connection.patch(bearer(self.user), body)
                except NoReply:
                    continue
                assert reply.status in {200, 503}, reply
                if reply.status == 200:
                    self.acknowledged += 1
                    times.append(time.monotonic())
                await asyncio.sleep(0.02)


@dataclass
class Load:
    """`times` are those of acknowledged changes, `cluster_times` those of commits by a client that knows nothing of the service."""

    writers: list[Writer] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    cluster_times: list[float] = field(default_factory=list)

    async def more(self, changes: int) -> None:
        enough = len(self.times) + changes
        async with asyncio.timeout(PATIENCE):
            while len(self.times) < enough:  # noqa: ASYNC110 - several tasks append
                await asyncio.sleep(0.01)

    async def probe(self, url: str) -> None:
        """Commit something again and again. An attempt that hangs, on a server that is frozen, doesn't keep the next one waiting."""
        attempts: set[asyncio.Task[None]] = set()
        try:
            while True:
                attempts.add(attempt := asyncio.create_task(self._commit(url)))
                attempt.add_done_callback(attempts.discard)
                await asyncio.sleep(0.25)
        finally:
            for attempt in attempts:
                attempt.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)

    async def _commit(self, url: str) -> None:
        with suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2) as connection:
                await connection.execute("INSERT INTO probe VALUES (1)")
            self.cluster_times.append(time.monotonic())


def longest_gap(times: Sequence[float], since: float) -> float:
    """The longest time without one, in seconds, from a moment on."""
    after = [since, *(one for one in times if one > since)]
    return max((later - earlier for earlier, later in itertools.pairwise(after)), default=0.0)


@dataclass
class Running:
    cluster: PatroniCluster
    url: str
    folder: Path
    servers: list[Server]
    relays: list[Relays]
    readers: Mapping[str, FeedReader]
    load: Load
    brokers: NatsCluster
    writing: list[asyncio.Task[None]]

    async def stop_writing(self) -> None:
        """A change that is under way may still be recorded."""
        for task in self.writing:
            task.cancel()
        await asyncio.gather(*self.writing, return_exceptions=True)
        await asyncio.sleep(1)

    def revive(self) -> None:
        for relays in self.relays:
            relays.revive()

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def behind(self, last: int) -> list[str]:
        """Who hasn't got as far as this position."""
        positions = {str(name): position for name, position in self.execute("SELECT name, position FROM followers")}
        [(signed,)] = self.execute("SELECT coalesce(max(position), 0) FROM checkpoints")
        positions |= {name: reader.position for name, reader in self.readers.items()}
        positions |= {"checkpoint": signed, "consumer": max((one.position for one in self.told()), default=0)}
        return [name for name, position in positions.items() if int(str(position)) < last]

    def said(self) -> str:
        return b"".join(server.log() for server in self.servers).decode()

    def told(self) -> list[Told]:
        return consumed(self.folder / "consumer")

    async def all_have_all(self) -> None:
        [(last,)] = self.execute("SELECT max(notification_id) FROM preferences_events")
        deadline = time.monotonic() + PATIENCE
        while behind := await asyncio.to_thread(self.behind, int(str(last))):
            assert time.monotonic() < deadline, f"{behind} are behind: {self.said()[-5000:]}"
            self.revive()
            await asyncio.sleep(0.1)

    def found(self, handed_on: Sequence[Told]) -> list[str]:
        """Everything that is wrong."""
        log = recorded(self.url)
        rows = self.execute(
            "SELECT notification_id, convert_from(state, 'UTF8')::json ->> 'event_id', topic, originator_id,"
            " (convert_from(state, 'UTF8')::json ->> 'enabled')::boolean,"
            " convert_from(state, 'UTF8')::json ->> 'organization' IS NOT NULL FROM preferences_events ORDER BY 1"
        )
        events = {int(str(row[0])): str(row[1]) for row in rows}
        wrong = []
        for writer in self.load.writers:
            stream = stream_id("org_math", writer.user)
            made = [row[4] for row in rows if row[3] == stream and str(row[2]).endswith(".toggled")]
            if made != [number % 2 == 0 for number in range(len(made))] or len(made) - writer.acknowledged not in {
                0,
                1,
            }:
                wrong.append(
                    f"{writer.user}: {writer.acknowledged} changes were acknowledged, {len(made)} are recorded"
                )
        for name, reader in self.readers.items():
            wrong += _of_a_reader(name, reader.seen, events)
        wrong += [f"consumer: {fault}" for fault in faults(log, self.told())]
        wrong += [f"broker: {fault}" for fault in faults(log, handed_on)]
        indexed = [row[0] for row in self.execute("SELECT position FROM audit_entries ORDER BY 1")]
        if indexed != [row[0] for row in rows if row[5]]:
            wrong.append("the index of the audit log is not that of the log")
        wrong += [f"a server said: {alarm}" for alarm in ALARMS if alarm in self.said()]
        verdict = Command(self.folder / "data", self.url)("audit", "verify")
        if verdict.returncode:
            wrong.append(f"audit verify: {verdict.stdout}{verdict.stderr}")
        return wrong


def _of_a_reader(name: str, seen: Sequence[Seen], events: Mapping[int, str]) -> Iterator[str]:
    positions = [one.position for one in seen]
    if positions != sorted(set(positions)):
        yield f"{name}: not in order, or twice"
    for one in seen:
        if one.position not in events:
            yield f"{name}: position {one.position} was seen and vanished"
        elif events[one.position] != one.id:
            yield f"{name}: position {one.position} was given twice"
    yield from (f"{name}: position {position} was missed" for position in sorted(set(events) - set(positions)))


@contextmanager
def consuming(broker: str, file: Path) -> Iterator[None]:
    consumer = subprocess.Popen(
        [sys.executable, "-m", "tests.support.stream_consumer", broker, file], start_new_session=True
    )
    try:
        yield
    finally:
        processes.kill(consumer.pid)
        consumer.wait()


@asynccontextmanager
async def running(
    cluster: PatroniCluster, balancer: tuple[str, int], folder: Path, replication: str
) -> AsyncIterator[Running]:
    name, folder = f"preferences_{next(_DATABASES)}", Path(tempfile.mkdtemp(dir=folder))
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute("CREATE TABLE IF NOT EXISTS probe (number int)")
    url, balanced = cluster.url(name), balanced_url(balancer, name)
    migrations.migrate(url)
    await publish(url)
    everything = await events_key(url)
    settings = {
        "followers": "on",
        "web_concurrency": rounds(1, 2),
        "checkpoint_interval": 1,
        "data_dir": folder / "data",
        "log_level": "warning",
        "database_replication": replication,
    }
    async with AsyncExitStack() as stack:
        brokers = stack.enter_context(NatsCluster(folder))
        servers = [Server(url, **settings), Server(balanced, **settings)]
        for server in servers:
            await asyncio.to_thread(stack.enter_context, server)
        relays = []
        for number, one in enumerate((url, balanced)):
            (folder / f"relay{number}").mkdir()
            own = Relays(
                folder / f"relay{number}",
                one,
                brokers.urls,
                nats_replicas=3,
                log_level="warning",
                database_replication=replication,
            )
            stack.callback(own.close)
            own.start()
            relays.append(own)
        stack.enter_context(consuming(brokers.urls[0], folder / "consumer"))
        load = Load([Writer(f"user_{number}") for number in range(WRITERS * len(servers))])
        readers = await stack.enter_async_context(reading(servers[0].url, everything, everything))
        writing = [
            asyncio.create_task(writer.write(servers[number % 2].url, load.times))
            for number, writer in enumerate(load.writers)
        ]
        probing = asyncio.create_task(load.probe(cluster.url()))
        try:
            await load.more(10)
            yield Running(cluster, url, folder, servers, relays, readers, load, brokers, writing)
        finally:
            for task in (probing, *writing):
                task.cancel()
            ended = await asyncio.gather(probing, *writing, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


def break_down(cluster: PatroniCluster, leader: Node, kind: str) -> None:
    if kind == "hand over":
        cluster.switch_over()
    else:
        getattr(leader, kind.replace(" ", "_"))()


def mend(leader: Node, kind: str) -> None:
    match kind:
        case "kill":
            leader.start()
        case "freeze":
            leader.thaw()
        case "cut off":
            leader.connect()


async def another_leader(cluster: PatroniCluster, former: Node) -> None:
    async with asyncio.timeout(PATIENCE):
        while (leader := await asyncio.to_thread(cluster.leader)) is None or leader is former:  # noqa: ASYNC110 - other processes have no event to wait for
            await asyncio.sleep(0.05)


@soak
async def test_a_cluster_whose_leader_dies_in_every_way_loses_nothing_and_shows_nothing_that_vanishes(
    cluster: PatroniCluster, balancer: tuple[str, int], folder: Path, record_property
) -> None:
    ways = ["kill database", "hand over", *rounds([], ["freeze", "kill", "cut off" if cluster.separate else "kill"])]
    gaps: dict[str, list[tuple[float, float]]] = {}
    chance = random.Random(24)
    async with running(cluster, balancer, folder, "synchronous") as service:
        for number in range(rounds(1, 50)):
            kind = ways[number % len(ways)]
            leader = await asyncio.to_thread(cluster.whole)
            await service.load.more(chance.randint(5, 40))
            began = time.monotonic()
            await asyncio.to_thread(break_down, cluster, leader, kind)
            await another_leader(cluster, leader)
            await service.load.more(20)
            await asyncio.to_thread(mend, leader, kind)
            service.revive()
            gaps.setdefault(kind, []).append(
                (longest_gap(service.load.times, began), longest_gap(service.load.cluster_times, began))
            )
        await asyncio.to_thread(cluster.whole)
        await service.load.more(10)
        await service.stop_writing()
        await service.all_have_all()
        handed_on = await patiently(lambda: told(service.brokers.urls[0]))
        found = await asyncio.to_thread(service.found, handed_on)
    for kind, both in gaps.items():
        own, clusters = zip(*both, strict=True)
        figures(
            record_property,
            way=kind.replace(" ", "_"),
            rounds=len(both),
            without_writes_p50=round(statistics.median(own), 1),
            of_the_cluster_p50=round(statistics.median(clusters), 1),
            longest=round(max(own), 1),
        )
    figures(record_property, changes=len(service.load.times), wrong=len(found))
    assert not found, "\n".join(found)


@soak
async def test_an_asynchronous_cluster_loses_acknowledged_changes_and_what_readers_have_seen(
    cluster: PatroniCluster, balancer: tuple[str, int], folder: Path, record_property
) -> None:
    """The control: the same load and the same readers, but commits wait for no standby, and the service doesn't either."""
    cluster.change_settings(synchronous_mode=False, synchronous_mode_strict=False)
    leader = cluster.whole()
    async with running(cluster, balancer, folder, "") as service:
        # Given standbys that lag behind,
        frozen = leader.senders()
        assert frozen
        for sender in frozen:
            processes.freeze(sender)
        await service.load.more(20)
        [(last,)] = service.execute("SELECT max(notification_id) FROM preferences_events")
        async with asyncio.timeout(PATIENCE):
            while {*service.readers, "consumer"} & {*await asyncio.to_thread(service.behind, int(str(last)))}:  # noqa: ASYNC110 - other processes have no event to wait for
                await asyncio.sleep(0.02)
        # when the leader's database dies,
        await asyncio.to_thread(leader.kill_database)
        await another_leader(cluster, leader)
        await service.load.more(20)
        await asyncio.to_thread(cluster.whole)
        await service.stop_writing()
        await asyncio.sleep(2)
        # then what was acknowledged, and what was seen, is gone.
        found = await asyncio.to_thread(service.found, [])
    kinds = ("changes were acknowledged", "was seen and vanished", "never recorded")
    counts = {kind: sum(kind in fault for fault in found) for kind in kinds}
    figures(record_property, **{kind.replace(" ", "_"): count for kind, count in counts.items()})
    assert all(counts.values()), found
