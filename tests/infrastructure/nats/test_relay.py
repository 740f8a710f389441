"""The relay, on a real PostgreSQL and a real NATS: stored once and in order, whatever was under way when it ended."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote
from uuid import uuid4

import psycopg
import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from application.log import Recorded
from domain.errors import Unavailable
from infrastructure.embedded.nats_server import NatsServer
from infrastructure.followers.runner import FollowerRunner
from infrastructure.log.event_log import read_after
from infrastructure.nats.broker_connection import BrokerUnavailable
from infrastructure.nats.jetstream import SUBJECTS, BrokerStream, NotTheEnd, StreamEnd, StreamUnusable
from infrastructure.nats.relay import NAME, Relay
from projections.cloud_events import cloud_event
from projections.nats_messages import message
from tests.support import processes
from tests.support.events import toggled
from tests.support.handed_on import STREAM, Told, connected, faults, recorded, stored, told
from tests.support.ledger import record
from tests.support.positions import execute, log_of, move_elsewhere

WINDOW = 0.1
"""Seconds after which these streams have forgotten which ids they have seen; the least that NATS takes."""


@pytest.fixture(scope="module")
def broker() -> Iterator[NatsServer]:
    with TemporaryDirectory(prefix="preferences-test-") as folder, NatsServer(Path(folder)) as server:
        yield server


@pytest.fixture
async def forgetful(broker: NatsServer) -> AsyncIterator[str]:
    """The broker's address; the stream there is new, and forgets message ids at once."""
    connection = await connected(broker.url)
    jetstream = connection.jetstream()
    config = StreamConfig(
        name=STREAM, subjects=[SUBJECTS], duplicate_window=WINDOW, allow_atomic=True, discard=DiscardPolicy.NEW
    )
    await jetstream.add_stream(config)
    yield broker.url
    with suppress(Exception):
        await jetstream.delete_stream(STREAM)
    await connection.close()


@asynccontextmanager
async def relaying(url: str, broker_url: str, **options: int) -> AsyncIterator[Relay]:
    """A relay that runs as in `preferences relay`, until everything is handed on at the end."""
    stop = asyncio.Event()
    relay = Relay(BrokerStream([broker_url], STREAM))
    runner = FollowerRunner(url, relay, stands_at=relay.stands_at, poll=0.05, rest=0, **options)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield relay
        await caught_up(url)
    finally:
        stop.set()
        await task
        await relay.close()


async def caught_up(url: str) -> None:
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        behind = (
            "SELECT (SELECT max(notification_id) FROM preferences_events) > coalesce(sum(position), -1) FROM followers"
        )
        while (await (await connection.execute(behind)).fetchall()) != [(False,)]:  # noqa: ASYNC110 - another process moves on, and has no event of ours to set
            await asyncio.sleep(0.01)


async def events_of(url: str) -> list[Recorded]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await read_after(connection, 0, 10_000)


async def hand_on(relay: Relay, url: str, *, noted: int, bookkeeping: bool = True) -> None:
    """One step of the relay, by hand, after the position that is noted; and whether it lived to note the new one."""
    after = await relay.stands_at(noted)
    events = [event for event in await events_of(url) if event.position > after]
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await relay.handle(events, connection)
        if not bookkeeping:
            await connection.rollback()


async def test_every_event_is_stored_once_in_order_as_its_cloud_event(database_url, forgetful) -> None:
    await record(database_url, 2500)
    async with relaying(database_url, forgetful):
        await caught_up(database_url)
        await record(database_url, 1)
    messages = await stored(forgetful)
    assert faults(recorded(database_url), await told(forgetful)) == []
    for message_, (position, event) in zip(messages, await events_of(database_url), strict=True):
        attributes = {name[3:]: unquote(value) for name, value in message_.headers.items() if name.startswith("ce-")}
        assert {**attributes, "data": json.loads(message_.data)} == cloud_event(position, event)
        assert message_.headers["Nats-Msg-Id"] == event.event_id


async def test_the_relay_makes_the_stream_on_disk_without_limits(database_url, broker) -> None:
    stream = BrokerStream([broker.url], "made")
    await stream.open()
    assert await stream.end() == StreamEnd(0, 0, "")
    await stream.close()
    connection = await connected(broker.url)
    config = (await connection.jetstream().stream_info("made")).config
    await connection.jetstream().delete_stream("made")
    await connection.close()
    assert (config.storage, config.subjects, config.allow_atomic) == ("file", ["notification-preferences.>"], True)
    assert (config.max_msgs, config.max_bytes, config.max_age, config.retention) == (-1, -1, 0, "limits")


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_killed_between_publish_and_bookkeeping_it_repeats_nothing_however_long_it_was_down(
    database_url, forgetful, count: int
) -> None:
    # Given a relay that is killed after the broker has stored what it sent, and before it could note that
    await record(database_url, count)
    relay = Relay(BrokerStream([forgetful], STREAM))
    await hand_on(relay, database_url, noted=0, bookkeeping=False)
    await relay.close()
    # when another one goes on from what was noted, after the stream has forgotten all ids
    await asyncio.sleep(3 * WINDOW)
    await record(database_url, 3)
    async with relaying(database_url, forgetful):
        pass
    # then each event is stored once.
    assert faults(recorded(database_url), await told(forgetful)) == []


def test_the_harness_sees_what_is_missing_and_what_is_out_of_order() -> None:
    log = [Told(1, "ada", 1), Told(2, "bob", 1), Told(3, "ada", 2)]
    assert faults(log, log) == []
    assert faults(log, [log[1], log[0], log[2]]) == []
    assert faults(log, log[:2]) == ["missing: Told(position=3, user='ada', version=2)"]
    assert faults(log, [log[2], log[1], log[0]]) == ["after version 2: Told(position=1, user='ada', version=1)"]


async def test_of_two_relays_that_believe_to_lead_one_is_refused_and_goes_on_behind_the_other(
    database_url, forgetful
) -> None:
    await record(database_url, 4)
    frozen, other = (Relay(BrokerStream([forgetful], STREAM)) for _ in range(2))
    # Given a relay that was about to publish when it froze, and another that took over
    assert await frozen.stands_at(0) == 0
    await hand_on(other, database_url, noted=0)
    # when the first one wakes up, then what it sends is refused
    with pytest.raises(NotTheEnd):
        await hand_on(frozen, database_url, noted=0)
    # and it looks again where the stream ends before it sends anything more.
    await record(database_url, 4)
    await hand_on(frozen, database_url, noted=0)
    assert faults(recorded(database_url), await told(forgetful)) == []
    await frozen.close()
    await other.close()


async def test_a_stream_that_was_made_anew_gets_everything_again(database_url, forgetful) -> None:
    await record(database_url, 30)
    async with relaying(database_url, forgetful):
        pass
    connection = await connected(forgetful)
    await connection.jetstream().delete_stream(STREAM)
    await connection.close()
    await record(database_url, 1)
    async with relaying(database_url, forgetful, batch=7):
        pass
    assert faults(recorded(database_url), await told(forgetful)) == []


async def test_what_was_purged_is_not_handed_on_again(database_url, forgetful) -> None:
    await record(database_url, 30)
    async with relaying(database_url, forgetful):
        pass
    connection = await connected(forgetful)
    await connection.jetstream().purge_stream(STREAM)
    await connection.close()
    await record(database_url, 5)
    async with relaying(database_url, forgetful):
        pass
    assert faults(recorded(database_url)[30:], await told(forgetful)) == []


async def test_a_broker_that_is_away_is_waited_for_and_stops_nothing(database_url, folder) -> None:
    server = NatsServer(folder)
    server.start()
    address = server.url
    await record(database_url, 5)
    async with relaying(database_url, address):
        await caught_up(database_url)
        processes.kill(server.pid)
        await record(database_url, 5)
        await asyncio.sleep(0.5)
        with psycopg.connect(database_url) as connection:
            state = connection.execute(
                "SELECT position, failed_position FROM followers WHERE name = %s", [NAME]
            ).fetchall()
        assert state == [(recorded(database_url)[4].position, None)]
        server.start()
        assert server.url == address
    assert faults(recorded(database_url), await told(address)) == []
    server.stop()


async def test_while_nobody_is_there_it_says_so(folder) -> None:
    stream = BrokerStream(["nats://127.0.0.1:1"], STREAM)
    with pytest.raises(BrokerUnavailable, match="can't be reached"):
        await stream.open()
    with pytest.raises(BrokerUnavailable, match="was lost"):
        await stream.end()
    with pytest.raises(BrokerUnavailable, match="was lost"):
        await stream.append([message(1, toggled(2, "news", True))], 0)


async def test_a_lost_connection_is_noticed_at_once(folder) -> None:
    with NatsServer(folder) as server:
        stream = BrokerStream([server.url], STREAM)
        await stream.open()
        pids = processes.freeze(server.pid)
        asked = asyncio.create_task(stream.end())
        await asyncio.sleep(0.1)
        assert not asked.done()
        processes.kill(server.pid)
        processes.thaw(pids)
        async with asyncio.timeout(2):
            with pytest.raises(BrokerUnavailable):
                await asked
        await stream.close()


async def test_what_is_asked_on_a_lost_connection_is_answered_once_and_leaves_no_error_behind(folder) -> None:
    # Given a connection that is lost, which nobody has noticed
    with NatsServer(folder) as server:
        stream = BrokerStream([server.url], STREAM)
        await stream.open()
    async with asyncio.timeout(2):
        while stream.is_open:  # noqa: ASYNC110 - nats-py tells nobody but its own
            await asyncio.sleep(0.01)
    # when a batch is handed to it, then it fails,
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    with pytest.raises(BrokerUnavailable, match="connection closed"):
        await stream.append([message(1, toggled(1, "news", True))], 0)
    await stream.close()
    # and nobody else is told: a task's error that was not taken is complained of as soon as the task is gone.
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


async def test_who_else_writes_to_the_stream_is_found_out(database_url, forgetful) -> None:
    connection = await connected(forgetful)
    await connection.jetstream().publish("notification-preferences.org.toggled", b"{}")
    await connection.close()
    relay = Relay(BrokerStream([forgetful], STREAM))
    with pytest.raises(StreamUnusable, match="somebody else writes"):
        await relay.stands_at(0)
    await relay.close()


async def test_a_stream_of_another_log_is_not_written_to(database_url, new_database, forgetful) -> None:
    await record(database_url, 20)
    async with relaying(database_url, forgetful):
        pass
    other = new_database()
    for events in (5, 30):
        await record(other, events)
        relay = Relay(BrokerStream([forgetful], STREAM))
        with pytest.raises(StreamUnusable, match="another one, or this one was restored"):
            await hand_on(relay, other, noted=0)
        await relay.close()
    assert faults(recorded(database_url), await told(forgetful)) == []


@pytest.mark.parametrize("events", [3, 7], ids=["shorter than the stream", "longer than the stream"])
async def test_a_log_that_is_restored_while_the_relay_runs_is_compared_again(
    database_url, new_database, forgetful, events: int
) -> None:
    # Given a relay that has handed on, over a connection to NATS that lasts
    await record(database_url, 5)
    relay = Relay(BrokerStream([forgetful], STREAM))
    await hand_on(relay, database_url, noted=0)
    # when the database comes back as it was before that, and has gone on from there
    restored = new_database()
    await record(restored, events)
    # then nothing is left out silently, at this attempt or at the next one.
    for _attempt in range(2):
        with pytest.raises(StreamUnusable, match="another one, or this one was restored"):
            await hand_on(relay, restored, noted=0)
    assert faults(recorded(database_url), await told(forgetful)) == []
    await relay.close()


async def handed_on_and_lost(url: str, broker: str, *, events: int, kept: int) -> Relay:
    """A relay that has handed on a log of one stream; which then goes on upon another server, without what was `kept` not."""
    await record(url, events)
    relay = Relay(BrokerStream([broker], STREAM))
    await hand_on(relay, url, noted=0)
    execute(url, f"DELETE FROM preferences_events WHERE notification_id > {kept}")
    move_elsewhere(url)
    return relay


async def test_after_a_failover_that_lost_events_it_goes_on_behind_what_it_has_handed_on(
    database_url, forgetful
) -> None:
    relay = await handed_on_and_lost(database_url, forgetful, events=20, kept=6)
    # When the log was continued, and has grown
    await record(database_url, 3)
    await hand_on(relay, database_url, noted=0)
    await relay.close()
    # then the stream has all that was ever in the log, in its order, and between them the event that says what was lost.
    log = [position for position, _ in log_of(database_url)]
    assert [one.position for one in await told(forgetful)] == [*range(1, 21), *log[6:]]
    assert log[6] > 20


async def test_before_the_log_was_continued_it_waits(database_url, forgetful) -> None:
    relay = await handed_on_and_lost(database_url, forgetful, events=20, kept=6)
    with pytest.raises(StreamUnusable, match="another one, or this one was restored"):
        await hand_on(relay, database_url, noted=0)
    await relay.close()
    assert len(await told(forgetful)) == 20


async def test_a_continued_log_does_not_pass_for_the_one_that_another_stream_was_written_from(
    database_url, new_database, forgetful
) -> None:
    # Given a stream of one log, and another log that was continued: the stream's last position lies where that one lost something
    await record(database_url, 20)
    relay = Relay(BrokerStream([forgetful], STREAM))
    await hand_on(relay, database_url, noted=0)
    other = new_database()
    await record(other, 6)
    move_elsewhere(other)
    await record(other, 3)
    # then what the stream has from before that shows that it is another one.
    with pytest.raises(StreamUnusable, match="another one, or this one was restored"):
        await hand_on(relay, other, noted=0)
    await relay.close()
    assert len(await told(forgetful)) == 20


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"storage": StorageType.MEMORY}, "kept in memory"),
        ({"subjects": ["notification-preferences.org.*"]}, "has the subjects"),
        ({"no_ack": True, "allow_atomic": False}, "acknowledges nothing"),
        ({"discard": DiscardPolicy.OLD}, "has discard: old"),
        ({"discard": DiscardPolicy.OLD, "max_msgs": 10}, "has discard: old"),
        ({"max_msgs_per_subject": 1}, "has max_msgs_per_subject: 1"),
        ({"retention": RetentionPolicy.INTEREST}, "has retention: interest"),
        ({"retention": RetentionPolicy.WORK_QUEUE}, "has retention: workqueue"),
    ],
)
async def test_a_stream_that_would_lose_something_is_refused(broker, config, fault: str) -> None:
    connection = await connected(broker.url)
    there = {
        "name": STREAM,
        "subjects": [SUBJECTS],
        "allow_atomic": True,
        "discard": DiscardPolicy.NEW,
        **config,
    }
    await connection.jetstream().add_stream(StreamConfig(**there))
    stream = BrokerStream([broker.url], STREAM)
    with pytest.raises(Unavailable, match=fault):
        await stream.open()
    await connection.jetstream().delete_stream(STREAM)
    await connection.close()


async def test_a_stream_that_discards_old_messages_does_drop_events(broker) -> None:
    # Negative control: what the refusal is for.
    connection = await connected(broker.url)
    jetstream = connection.jetstream()
    await jetstream.add_stream(StreamConfig(name=STREAM, subjects=[SUBJECTS], discard=DiscardPolicy.OLD, max_msgs=2))
    for number in range(5):
        await jetstream.publish("notification-preferences.org_math.toggled", b"%d" % number)
    state = (await jetstream.stream_info(STREAM)).state
    assert (state.messages, state.first_seq) == (2, 4)
    await jetstream.delete_stream(STREAM)
    await connection.close()


async def test_a_stream_that_forgets_after_a_while_is_written_to(broker) -> None:
    connection = await connected(broker.url)
    config = StreamConfig(name=STREAM, subjects=[SUBJECTS], discard=DiscardPolicy.NEW, max_age=3600)
    await connection.jetstream().add_stream(config)
    stream = BrokerStream([broker.url], STREAM)
    await stream.open()
    assert await stream.append([message(1, toggled(1, "news", True))], 0) == 1
    await stream.close()
    await connection.jetstream().delete_stream(STREAM)
    await connection.close()


@pytest.fixture(scope="module")
def limiting() -> Iterator[str]:
    """A broker whose account requires a limit of each stream."""
    account = {
        "jetstream": {"max_file": 1 << 28, "max_bytes_required": True},
        "users": [{"user": "relay", "password": "relay"}],
    }
    settings = {"authorization": {}, "accounts": {"LIMITED": account}}
    with (
        TemporaryDirectory(prefix="preferences-test-") as folder,
        NatsServer(Path(folder), settings=settings) as server,
    ):
        yield f"nats://relay:relay@{server.url.rpartition('@')[2]}"


async def test_an_account_that_requires_a_limit_is_told_by_the_name_of_the_setting(limiting: str) -> None:
    stream = BrokerStream([limiting], "limited")
    with pytest.raises(StreamUnusable, match=r"requires a limit of each stream, .*: set NATS_MAX_BYTES"):
        await stream.open()
    await stream.close()


async def test_with_the_limit_a_stream_is_made_that_refuses_what_is_too_much(limiting: str) -> None:
    stream = BrokerStream([limiting], "limited", max_bytes=20_000)
    await stream.open()

    async def fill() -> None:
        for number in range(1, 100):
            await stream.append([message(number, toggled(number, "news", True))], number - 1)

    with pytest.raises(BrokerUnavailable, match="maximum bytes exceeded"):
        await fill()
    assert 10 < (await stream.end()).sequence < 99
    await stream.close()
    connection = await connected(limiting)
    state = await connection.jetstream().stream_info("limited")
    assert (state.config.max_bytes, state.config.discard, state.state.first_seq) == (20_000, "new", 1)
    await connection.jetstream().delete_stream("limited")
    await connection.close()


async def test_a_stream_that_the_broker_refuses_to_make_is_not_waited_for(forgetful: str) -> None:
    # Given a stream that has the subjects already
    stream = BrokerStream([forgetful], "another")
    with pytest.raises(StreamUnusable, match="NATS refuses to make the stream another: subjects overlap"):
        await stream.open()
    await stream.close()


async def test_a_stream_that_knows_no_batches_learns_them(broker) -> None:
    connection = await connected(broker.url)
    await connection.jetstream().add_stream(StreamConfig(name=STREAM, subjects=[SUBJECTS], discard=DiscardPolicy.NEW))
    stream = BrokerStream([broker.url], STREAM)
    await stream.open()
    events = [message(number, toggled(number, "news", True)) for number in (1, 2, 3)]
    assert await stream.append(events, 0) == 3
    assert await stream.end() == StreamEnd(3, 3, events[-1].headers["ce-id"])
    await stream.close()
    await connection.jetstream().delete_stream(STREAM)
    await connection.close()


async def test_a_batch_is_stored_whole_or_not_at_all(forgetful) -> None:
    stream = BrokerStream([forgetful], STREAM)
    await stream.open()
    events = [message(number, toggled(number, "news", True, uuid4())) for number in range(1, 1001)]
    assert await stream.append(events, 0) == 1000
    with pytest.raises(NotTheEnd, match="sequence 999"):
        await stream.append(events, 999)
    assert await stream.end() == StreamEnd(1000, 1000, events[-1].headers["ce-id"])
    await stream.close()
