"""The broker's stream: which configurations are refused, which are mended, and what they are refused for."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from domain.errors import Unavailable
from infrastructure.embedded.nats_server import NatsServer
from infrastructure.nats.broker_connection import BrokerUnavailable
from infrastructure.nats.jetstream import SUBJECTS, BrokerStream, NotTheEnd, StreamEnd, StreamUnusable
from projections.nats_messages import message
from tests.support.events import toggled
from tests.support.handed_on import STREAM, connected


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
