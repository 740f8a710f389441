"""The example of an e-mail sender as it runs: with the real service, relay and broker, of which each may die."""

import asyncio
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from nats.js import JetStreamContext

from domain.preferences import stream_id
from examples.email_sender.decision import Reason
from infrastructure.embedded.nats_server import NatsServer
from tests.support import processes
from tests.support.catalogues import publish
from tests.support.command import Command, environment
from tests.support.email_sender import ROOT, EmailSender
from tests.support.figures import figures
from tests.support.handed_on import STREAM, connected
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

ROUNDS = rounds(4, 30)
SEED = 20260303
USERS = [f"user_{number}" for number in range(4)]
TOGGLES = ["product_updates", "delivery_alerts", "billing_receipts", "weekly_usage_digest"]
BOUND = 5.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
async def service(serve: Callable[..., Server], database_url: str) -> Server:
    await publish(database_url)
    return serve()


@pytest.fixture
def relay(folder: Path, database_url: str, broker: NatsServer) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "relay.log").open("ab") as log:
        command = Command(folder / "data", database_url)
        process = command.run_beside(log, "relay", nats_url=broker.url)
    yield process
    processes.kill(process.pid)
    process.wait()


@pytest.fixture
def sender(tmp_path: Path, broker: NatsServer) -> Iterator[EmailSender]:
    sender = EmailSender(tmp_path, nats_url=broker.url)
    sender.start()
    yield sender
    sender.close()


def choose(service: Server, user: str, **toggles: bool) -> None:
    response = httpx.patch(f"{service.url}{PATH}", json={"email": toggles}, headers=bearer(user), timeout=30)
    assert response.status_code == 200


def resolved(service: Server, user: str) -> dict[str, bool]:
    return httpx.get(f"{service.url}{PATH}", headers=bearer(user), timeout=30).json()["data"]["email"]


def end(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT max(notification_id) FROM preferences_events").fetchone()[0]


@contextmanager
def minds_changing(service: Server, chance: random.Random) -> Iterator[None]:
    """While the context lasts, users choose, a few at a time."""
    stop = threading.Event()

    def change() -> None:
        while not stop.wait(0.01):
            choose(service, chance.choice(USERS), **{chance.choice(TOGGLES): chance.random() < 0.5})

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@soak
def test_killed_at_any_moment_it_knows_every_choice(
    service, relay, sender: EmailSender, database_url, record_property
) -> None:
    chance = random.Random(SEED)
    # Given users who change their minds, and a sender that is killed at any moment, and started again
    with minds_changing(service, random.Random(SEED)):
        for _ in range(ROUNDS):
            before = sender.place().position
            sender.until(lambda before=before: sender.place().position > before)
            time.sleep(chance.uniform(0, 0.1))
            sender.kill()
            sender.start()
    sender.until(lambda: sender.place().position == end(database_url))
    # then it has taken in each event once (else a version would have been missing or doubled, and stopped it),
    versions = {str(stream_id("org_math", user)) for user in USERS}
    with (
        psycopg.connect(database_url) as connection,
        closing(sqlite3.connect(sender.file, isolation_level=None)) as kept,
    ):
        recorded = connection.execute(
            "SELECT originator_id::text, max(originator_version) FROM preferences_events GROUP BY 1"
        ).fetchall()
        assert versions < dict(recorded).keys()
        assert dict(kept.execute("SELECT key, version FROM streams").fetchall()) == dict(recorded)
    # and decides what the service would answer.
    agree(service, sender)
    figures(record_property, rounds=ROUNDS, events=end(database_url))


def agree(service: Server, sender: EmailSender) -> None:
    for user in USERS:
        for toggle, enabled in resolved(service, user).items():
            assert sender.decided(user, toggle).allowed is enabled


def test_what_is_delivered_again_changes_nothing(service, relay, sender: EmailSender, database_url) -> None:
    for user in USERS:
        choose(service, user, product_updates=False)
        choose(service, user, product_updates=True, weekly_usage_digest=True)
    sender.until(lambda: sender.place().position == end(database_url))
    reached = sender.place()
    # Given a sender that has forgotten where it was in the stream, and begins at its beginning
    sender.kill()
    with closing(sqlite3.connect(sender.file, isolation_level=None)) as kept:
        kept.execute("UPDATE place SET sequence = 0")
    sender.start()
    # then everything is told again, and nothing changes.
    sender.until(lambda: sender.place() == reached)
    choose(service, USERS[0], product_updates=False)
    sender.until(lambda: sender.place().position > reached.position)
    agree(service, sender)


def test_a_position_that_is_not_kept_with_its_effect_is_caught_doubling(
    service, relay, sender: EmailSender, database_url
) -> None:
    choose(service, "user_ada", product_updates=False)
    sender.until(lambda: sender.place().position == end(database_url))
    # Given one whose position was lost, and whose effect wasn't
    sender.kill()
    with closing(sqlite3.connect(sender.file, isolation_level=None)) as kept:
        kept.execute("UPDATE place SET sequence = 0, position = 0")
    sender.start()
    # then it stops instead of counting anything twice.
    assert sender.process.wait(30) == 1
    assert re.search(r"position 1 is version \d+ of", sender.said())


def test_a_stream_that_is_made_anew_is_read_anew(service, relay, sender: EmailSender, broker, database_url) -> None:
    choose(service, "user_ada", product_updates=False)
    sender.until(lambda: sender.place().position == end(database_url))
    asyncio.run(with_jetstream(broker, lambda jetstream: jetstream.delete_stream(STREAM)))
    choose(service, "user_ada", product_updates=True)
    sender.until(lambda: sender.place().position == end(database_url))
    assert sender.decided("user_ada", "product_updates") == (True, Reason.CHOICE)


def test_it_does_not_begin_in_the_middle(service, relay, sender: EmailSender, broker, database_url, tmp_path) -> None:
    # Given a stream that has discarded what one sender knows
    choose(service, "user_ada", product_updates=False)
    sender.until(lambda: sender.place().position == end(database_url))
    asyncio.run(with_jetstream(broker, lambda jetstream: jetstream.purge_stream(STREAM, keep=1)))
    # then another one, which would never hear of it, doesn't begin,
    (tmp_path / "another").mkdir()
    another = EmailSender(tmp_path / "another", nats_url=broker.url)
    another.start()
    assert another.process.wait(30) == 1
    assert "a replica has to be begun from GET /v1/events" in another.said()
    another.close()
    # and the one that knows goes on.
    sender.kill()
    sender.start()
    choose(service, "user_ada", product_updates=True)
    sender.until(lambda: sender.decided("user_ada", "product_updates") == (True, Reason.CHOICE))


async def with_jetstream(broker: NatsServer, do: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    connection = await connected(broker.url)
    await do(connection.jetstream())
    await connection.close()


def test_without_a_broker_it_soon_sends_only_what_is_mandatory(service, relay, sender: EmailSender, broker) -> None:
    # Given a sender that knows of a choice
    choose(service, "user_ada", weekly_usage_digest=True)
    sender.until(lambda: sender.decided("user_ada", "weekly_usage_digest", BOUND) == (True, Reason.CHOICE))
    # when the broker dies, then it is behind further than the bound one day, and refuses, also once it was started again
    processes.kill(broker.pid)
    sender.until(lambda: sender.decided("user_ada", "weekly_usage_digest", BOUND) == (False, Reason.STALE))
    sender.kill()
    sender.start()
    sender.until(lambda: "the broker is away" in sender.said())
    assert sender.decided("user_ada", "weekly_usage_digest", BOUND) == (False, Reason.STALE)
    assert sender.decided("user_ada", "security_alerts", BOUND) == (True, Reason.MANDATORY)
    # until the broker is back.
    broker.start()
    sender.until(lambda: sender.decided("user_ada", "weekly_usage_digest", BOUND) == (True, Reason.CHOICE))


def test_a_dead_relay_is_noticed_though_the_broker_lives(service, relay, tmp_path, broker) -> None:
    sender = EmailSender(tmp_path, nats_url=broker.url, service_url=service.url)
    sender.start()
    try:
        choose(service, "user_ada", product_updates=True)
        sender.until(lambda: sender.decided("user_ada", "product_updates", BOUND) == (True, Reason.CHOICE))
        # Given a choice that the relay doesn't hand on any more
        processes.kill(relay.pid)
        choose(service, "user_ada", product_updates=False)
        # then it isn't overridden by what was known before for longer than the bound.
        sender.until(lambda: sender.decided("user_ada", "product_updates", BOUND) == (False, Reason.STALE))
    finally:
        sender.close()


def test_who_was_erased_is_forgotten_and_their_choices_stay(
    service, relay, sender: EmailSender, folder, database_url
) -> None:
    choose(service, "user_ada", product_updates=False)
    sender.until(lambda: sender.place().position == end(database_url))
    assert b"user_ada" in on_disk(sender)
    Command(folder / "data", database_url)("erase", "--org", "org_math", "--user", "user_ada")
    sender.until(lambda: sender.place().position == end(database_url))
    sender.until(lambda: b"user_ada" not in on_disk(sender))
    assert sender.decided("user_ada", "product_updates") == (False, Reason.CHOICE)


def on_disk(sender: EmailSender) -> bytes:
    return b"".join(path.read_bytes() for path in sender.file.parent.glob(f"{sender.file.name}*"))


def test_one_command_starts_it_with_a_relay_of_its_own(service, folder, tmp_path, database_url) -> None:
    sender = EmailSender(tmp_path, data_dir=folder / "data", database_url=database_url)
    sender.start("--org", "org_math", "--user", "user_ada")
    try:
        sender.until(lambda: "email.product_updates        send: default" in sender.said())
        choose(service, "user_ada", product_updates=False)
        sender.until(lambda: "email.product_updates        don't send: choice" in sender.said())
        family = processes.family(sender.process.pid)
        assert len(family) > 1
        deadline = time.monotonic() + 30
        while sender.process.poll() is None:  # some supervisors tell it more than once
            sender.process.terminate()
            time.sleep(0.002)
            assert time.monotonic() < deadline
        assert sender.process.returncode == 0
        assert not any(processes.lives(pid) for pid in family)
        assert "Traceback" not in sender.said()
    finally:
        sender.close()


def test_a_decision_reads_the_file_alone(service, relay, sender: EmailSender) -> None:
    choose(service, "user_ada", product_updates=False)
    sender.until(lambda: sender.decided("user_ada", "product_updates", BOUND) == (False, Reason.CHOICE))

    def decide(toggle: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "examples.email_sender", "decide", toggle, "--user", "user_ada", *options]
        settings = environment(replica=sender.file)
        return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)

    refused = decide("email.product_updates", "--org", "org_math", "--bound", "600")
    assert (refused.stdout, refused.returncode) == ("don't send: choice\n", 1)
    allowed = decide("email.product_updates", "--bound", "600")
    assert (allowed.stdout, allowed.returncode) == ("send: default\n", 0)
