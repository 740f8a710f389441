import asyncio
import json
import re
import signal
import time
from pathlib import Path

import pytest
from nats.js.api import StorageType, StreamConfig

from infrastructure.embedded.nats_server import NatsServer
from infrastructure.nats.jetstream import SUBJECTS
from tests.support.command import Command, one_sentence
from tests.support.handed_on import STREAM, connected, faults, recorded, told
from tests.support.ledger import record


@pytest.fixture
def broker(tmp_path: Path):
    with NatsServer(tmp_path, settings={"http": "127.0.0.1:-1"}) as server:
        yield server


async def test_one_command_starts_a_broker_and_hands_everything_on(preferences, database_url, folder) -> None:
    await record(database_url, 12)
    running = preferences.start("relay")
    try:
        # Given the relay, whose first line says where the broker is
        assert running.stderr
        address = re.search(r"nats://\S+", running.stderr.readline())
        assert address
        # then a consumer finds everything there
        async with asyncio.timeout(60):
            while not (running.poll() or await everything_is_there(address[0], database_url)):  # noqa: ASYNC110 - a relay tells nobody
                await asyncio.sleep(0.02)
    finally:
        # and SIGTERM ends both, also when it is sent more than once.
        deadline = time.monotonic() + 20
        while running.poll() is None:
            running.send_signal(signal.SIGTERM)
            time.sleep(0.002)  # noqa: ASYNC251 - nothing else runs here by now
            assert time.monotonic() < deadline
        said = running.communicate(timeout=20)[1]
    assert running.returncode == 0, said
    assert "Traceback" not in said
    with NatsServer(folder / "data") as again:
        assert again.started_here
        assert faults(recorded(database_url), await told(again.url)) == []
    # What it has handed on stays so.
    assert "can't be taken back" in one_sentence(preferences("followers", "reset", "relay"))


async def everything_is_there(address: str, database_url: str) -> bool:
    try:
        return len(await told(address)) == len(recorded(database_url))
    except Exception:  # noqa: BLE001 - the stream isn't there yet
        return False


async def test_a_stream_that_can_not_be_used_is_one_sentence(preferences, broker) -> None:
    connection = await connected(broker.url)
    config = StreamConfig(name=STREAM, subjects=[SUBJECTS], storage=StorageType.MEMORY)
    await connection.jetstream().add_stream(config)
    await connection.close()
    assert "is kept in memory" in one_sentence(preferences("relay", nats_url=broker.url))


async def test_the_stream_has_the_limit_of_the_settings(preferences, broker) -> None:
    said_at_the_start(preferences, nats_url=broker.url, nats_max_bytes=5_000_000)
    connection = await connected(broker.url)
    assert (await connection.jetstream().stream_info(STREAM)).config.max_bytes == 5_000_000
    await connection.close()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"nats_url": "http://localhost:4222"}, "NATS_URL must start with nats:// or tls://"),
        ({"nats_stream": "a.b"}, "NATS_STREAM"),
        ({"nats_replicas": 0}, "NATS_REPLICAS"),
        ({"nats_monitoring_url": "localhost:8222"}, "NATS_MONITORING_URL must start with http:// or https://"),
    ],
)
def test_a_wrong_setting_is_one_sentence(folder, monkeypatch, capsys, settings, sentence: str) -> None:
    nowhere = Command(folder / "data", "postgresql://127.0.0.1:1/nowhere")
    assert sentence in one_sentence(nowhere.inside(monkeypatch, capsys, "relay", **settings))


@pytest.mark.parametrize(
    ("monitored", "event"),
    [
        (lambda broker: None, "it is unknown whether the broker syncs before it acknowledges"),
        (lambda broker: broker.monitoring_url, "broker syncs before it acknowledges"),
        (lambda broker: "http://127.0.0.1:1", "it is unknown whether the broker syncs"),
    ],
)
def test_it_says_what_is_known_of_the_brokers_durability(preferences, broker, monitored, event: str) -> None:
    assert event in said_at_the_start(preferences, nats_url=broker.url, nats_monitoring_url=monitored(broker))


def test_it_warns_of_a_broker_that_acknowledges_before_it_syncs(preferences, tmp_path) -> None:
    jetstream = {"store_dir": str(tmp_path / "lax"), "sync_interval": "2m"}
    with NatsServer(tmp_path, settings={"http": "127.0.0.1:-1", "jetstream": jetstream}) as lax:
        said = said_at_the_start(preferences, nats_url=lax.url, nats_monitoring_url=lax.monitoring_url)
    assert "broker acknowledges before it syncs: what it acknowledged can be lost with its machine" in said


def said_at_the_start(preferences: Command, **settings: object) -> list[str]:
    """What the relay logs until it leads."""
    running = preferences.start("relay", **settings)
    said: list[str] = []
    assert running.stderr
    while "follower leads" not in said:
        said.append(json.loads(running.stderr.readline())["event"])
    running.send_signal(signal.SIGTERM)
    assert running.communicate(timeout=20)
    return said
