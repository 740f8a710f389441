"""`preferences replay --to nats`: the log in a stream of its own, each event exactly once, whatever happened on the way."""

import asyncio
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.embedded.nats_server import NatsServer
from tests.support.command import Command, one_sentence
from tests.support.filled_log import Chance, put
from tests.support.handed_on import connected, faults, recorded, stored, told


@pytest.fixture(scope="module")
def url(new_database) -> str:
    url = new_database()
    put(url, Chance(21).events(6000))
    return url


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
def command(folder: Path, url: str, broker: NatsServer) -> Command:
    command = Command(folder, url)
    command.settings["nats_url"] = broker.url
    return command


async def test_killed_at_random_moments_and_run_again_the_stream_has_each_event_exactly_once(
    command, broker, url
) -> None:
    chance = random.Random(5)
    kills = 0
    while True:
        process = command.start("replay", "--to", "nats", "--output", "again")
        try:
            await asyncio.to_thread(process.wait, chance.uniform(0.8, 1.6) if kills < 6 else 60)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
        if process.returncode == 0:
            break
    assert faults(recorded(url), await told(broker.url, "again")) == []
    done = await asyncio.to_thread(command, "replay", "--to", "nats", "--output", "again")
    assert done.stdout == "0 events, up to position 6000\n"


async def test_results_go_to_standard_output_and_the_log_to_standard_error_as_json(command, broker) -> None:
    done = await asyncio.to_thread(command, "replay", "--to", "nats", "--output", "logged")
    assert done.stdout == "6000 events, up to position 6000\n"
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert {"stream created"} <= {line["event"] for line in logged}
    assert all({"timestamp", "level"} <= line.keys() for line in logged)


async def test_the_stream_has_the_limit_of_the_settings(command, broker) -> None:
    command.settings["nats_max_bytes"] = 50_000_000
    done = await asyncio.to_thread(command, "replay", "--to", "nats", "--output", "limited")
    assert done.returncode == 0
    connection = await connected(broker.url)
    assert (await connection.jetstream().stream_info("limited")).config.max_bytes == 50_000_000
    await connection.close()


async def test_a_stream_takes_what_was_asked_for_and_nothing_else_ever(command, broker) -> None:
    into = ("replay", "--to", "nats", "--output", "some")
    done = await asyncio.to_thread(command, *into, "--org", "org_math", "--after", "100")
    assert done.returncode == 0
    messages = await stored(broker.url, "some")
    assert {message.subject.rpartition(".")[0] for message in messages} == {"some.notification-preferences.org_math"}
    assert min(int((message.headers or {})["ce-sequence"]) for message in messages) > 100
    assert "was made for something else" in one_sentence(await asyncio.to_thread(command, *into))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("notification-preferences", "is the relay's own"),
        ("a.b", "can't be a stream's name"),
        ("../b", "can't be a stream's name"),
    ],
)
def test_some_names_are_not_for_a_replay(command, name, sentence) -> None:
    assert sentence in one_sentence(command("replay", "--to", "nats", "--output", name))
