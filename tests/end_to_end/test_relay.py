"""What was recorded arrives at a consumer once and in order, whoever dies in the middle of it."""

import asyncio
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import uuid4

import nats.errors
import psycopg
import pytest
from nats.js.api import DiscardPolicy, StreamConfig

from domain.errors import Unavailable
from infrastructure.embedded.nats_server import NatsServer
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.nats.jetstream import SUBJECTS
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support import processes
from tests.support.clusters import ReadyCluster
from tests.support.figures import figures
from tests.support.handed_on import STREAM, Told, connected, faults, patiently, recorded, told
from tests.support.ledger import appended
from tests.support.nats_cluster import NatsCluster
from tests.support.patient_database import patient_database
from tests.support.relays import Relays
from tests.support.soak import rounds, soak
from tests.support.stream_consumer import consumed

ROUNDS = rounds(4, 50)
MANY = 50
SEED = 20260303
PATIENCE = 30.0
"""Seconds in which what is waited for has happened, also on a busy machine."""


@pytest.fixture
def own_postgres(
    ready_cluster: ReadyCluster, folder: Path, request: pytest.FixtureRequest
) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(ready_cluster.copy_to(folder / request.node.name)) as postgres:
        yield postgres


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[None]:
    """While the context lasts, users change their minds, a few at a time."""

    async def write() -> None:
        while True:
            try:
                async with patient_database(url, size=2) as database:
                    store = PostgresPreferencesStore(database)
                    while True:
                        await store.append([appended(uuid4(), random.randint(1, 6)) for _ in range(5)])
                        await asyncio.sleep(0.03)
            except (Unavailable, psycopg.Error):
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write())
        yield
        task.cancel()


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"after {PATIENCE} s not yet: {what}"
        await asyncio.sleep(0.01)


async def new_stream(url: str, **config: object) -> None:
    connection = await connected(url)
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(nats.errors.Error):
                await connection.jetstream().add_stream(
                    StreamConfig(
                        name=STREAM, subjects=[SUBJECTS], allow_atomic=True, discard=DiscardPolicy.NEW, **config
                    )
                )
                break
            await asyncio.sleep(0.1)
    await connection.close()


Seen = TypeVar("Seen")


class Outcome(NamedTuple):
    """What was recorded, stored by the broker and consumed, what the relays said, how often one had ended of itself, and how often
    each was killed."""

    log: list[Told]
    stored: list[Told]
    consumed: list[Told]
    said: str
    revived: int
    kills: Counter[str]


async def killed_at_any_moment(
    postgres: EmbeddedPostgres,
    folder: Path,
    victims: Sequence[str],
    *,
    naive: bool = False,
    most: int = ROUNDS,
    enough: Callable[[list[Told]], bool] = lambda _: False,
) -> Outcome:
    """While users change their minds, one of the victims is killed and started again, for so many rounds, or until `enough`
    was consumed."""
    chance = random.Random(SEED)
    kept = folder / "consumed.sqlite"
    kills: Counter[str] = Counter()
    turns: list[str] = []
    # A port that the system gives to nobody who connects somewhere: another test would have it while the broker is dead.
    with NatsServer(folder / "broker", settings={"listen": f"127.0.0.1:{unused_port()}"}) as broker:
        address = broker.url
        # The stream forgets at once which ids it has seen.
        await new_stream(broker.url, duplicate_window=0.1)
        relays = Relays(folder, postgres.url, [broker.url], naive=naive)
        consumer = consume(broker.url, kept)

        def supervised(look: Callable[[Path], Seen]) -> Seen:
            relays.revive()
            return look(kept)

        try:
            relays.start()
            relays.start()
            async with writing(postgres.url):
                while kills.total() < most and not enough(consumed(kept)):
                    before = count(kept)
                    await until(lambda before=before: supervised(count) > before, "something more is consumed")
                    await asyncio.sleep(chance.uniform(0, 0.1))
                    # Each of them has its turn, in any order.
                    turns = turns or chance.sample(victims, len(victims))
                    victim = turns.pop()
                    kills[victim] += 1
                    match victim:
                        case "relay":
                            relays.kill(chance.choice(relays.processes))
                            relays.start()
                        case "broker":
                            processes.kill(broker.pid)
                            await asyncio.to_thread(broker.start)
                            assert broker.url == address
                        case "consumer":
                            processes.kill(consumer.pid)
                            consumer.wait()
                            consumer = consume(broker.url, kept)
                        case "database":
                            processes.kill(postgres.pid)
                            await asyncio.to_thread(postgres.start)
            log = recorded(postgres.url)
            await until(lambda: len(supervised(consumed)) >= len(log), "everything is consumed")
            in_stream = await told(broker.url)
        finally:
            processes.kill(consumer.pid)
            consumer.wait()
            said = relays.close()
            sys.stderr.write(said)  # shown where the test fails
    return Outcome(log, in_stream, consumed(kept), said, relays.revived, kills)


@soak
async def test_each_event_arrives_once_and_in_order_whoever_is_killed(own_postgres, tmp_path, record_property) -> None:
    # Given two relays, a consumer, and writers, when one of all these is killed time and again, at any moment
    outcome = await killed_at_any_moment(own_postgres, tmp_path, ["relay", "broker", "consumer", "database"])
    # then what was recorded is what is stored, and what was consumed: each event once, in the order of the log.
    assert faults(outcome.log, outcome.stored) == []
    assert faults(outcome.log, outcome.consumed) == []
    assert outcome.consumed == outcome.log
    assert "follower stopped" not in outcome.said
    assert outcome.kills.total() == ROUNDS
    # A relay ended of itself only where it was started while the database was away, and each said so.
    ended = [line for line in outcome.said.splitlines() if line.startswith("error: ")]
    assert len(ended) >= outcome.revived
    assert [line for line in ended if "connection" not in line] == []
    assert "Traceback" not in outcome.said
    refusals = outcome.said.count("doesn't end at")
    figures(
        record_property,
        seed=SEED,
        rounds=ROUNDS,
        events=len(outcome.log),
        refusals=refusals,
        revived=outcome.revived,
        **outcome.kills,
    )


async def test_deduplication_by_id_alone_is_caught_doubling(own_postgres, tmp_path, record_property) -> None:
    # Given the same with relays that leave it to the stream to know an event again, when only they are killed
    outcome = await killed_at_any_moment(own_postgres, tmp_path, ["relay"], naive=True, most=MANY, enough=has_doubles)
    # then the consumer is told events twice.
    doubled = [fault for fault in faults(outcome.log, outcome.consumed) if fault.startswith("told 2 times")]
    assert doubled
    figures(record_property, kills=outcome.kills["relay"], doubled=len(doubled))


def has_doubles(told: list[Told]) -> bool:
    return len(told) > len(set(told))


def unused_port() -> int:
    """Below those that Linux gives to whoever connects."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", port := random.randint(20_000, 32_000))):
            return port


def consume(url: str, file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.support.stream_consumer", url, file])


def count(file: Path) -> int:
    return len(consumed(file))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_another_relay_takes_over_within_ten_seconds(database_url, tmp_path, end, record_property) -> None:
    with NatsServer(tmp_path / "broker") as broker:
        await new_stream(broker.url)
        relays = Relays(tmp_path, database_url, [broker.url])
        try:
            # Given a relay that leads, and another that stands by
            leader = relays.start()
            await until(lambda: relays.leader() is not None, "one leads")
            first = relays.leader()
            relays.start()
            async with writing(database_url):
                await arrived(broker.url, 100)
                # when the first one ends, or stands still, while events come
                processes.send(end, [leader])
                ended = time.monotonic()
                await until(lambda: relays.leader() not in (None, first), "the other one leads")
                seconds = time.monotonic() - ended
                await arrived(broker.url, 100)
            # and, if it only stood still, wakes up again
            processes.send(signal.SIGCONT, [leader])
            log = recorded(database_url)
            await arrived(broker.url, len(log), altogether=True)
        finally:
            relays.close()
        # then the other one leads in time, and each event is stored once.
        assert faults(log, await told(broker.url)) == []
    figures(record_property, seconds_until_takeover=round(seconds, 1))
    assert seconds < 10


async def arrived(url: str, events: int, *, altogether: bool = False) -> None:
    """Return once so many more events are stored, or so many in all."""
    connection = await connected(url)
    goal = events if altogether else None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(nats.errors.Error):
                    stored = (await connection.jetstream(timeout=1).stream_info(STREAM)).state.last_seq
                    goal = goal or stored + events
                    if stored >= goal:
                        return
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def test_a_cluster_that_loses_a_node_loses_and_doubles_nothing(database_url, tmp_path, record_property) -> None:
    with NatsCluster(tmp_path) as cluster:
        # Given three nodes that each keep the stream, which the relay has made
        relays = Relays(tmp_path, database_url, cluster.urls, nats_replicas=3)
        try:
            relays.start()
            async with writing(database_url):
                await until(lambda: relays.leader() is not None, "the relay leads")
                await arrived(cluster.urls[0], 60)
                # when each of them in turn is killed while events come, and started again
                for node in cluster.nodes:
                    another = next(
                        url for other, url in zip(cluster.nodes, cluster.urls, strict=True) if other is not node
                    )
                    processes.kill(node.pid)
                    await arrived(another, 100)
                    await asyncio.to_thread(node.start)
                    await arrived(another, 60)
            log = recorded(database_url)
            await arrived(cluster.urls[0], len(log), altogether=True)
            connection = await connected(cluster.urls[0])
            config = (await patiently(lambda: connection.jetstream().stream_info(STREAM))).config
            await connection.close()
        finally:
            said = relays.close()
        # then every event is stored once.
        assert (config.num_replicas, config.storage) == (3, "file")
        assert faults(log, await patiently(lambda: told(cluster.urls[0]))) == []
        assert "follower stopped" not in said
    figures(record_property, events=len(log), waits=said.count("follower waits"))
