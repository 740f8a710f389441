"""The relay, on a real PostgreSQL and a real NATS: stored once and in order, whatever was under way when it ended."""

import asyncio
import json
from urllib.parse import unquote

import pytest

from infrastructure.nats.jetstream import BrokerStream, NotTheEnd, StreamEnd, StreamUnusable
from infrastructure.nats.relay import Relay
from projections.cloud_events import cloud_event
from tests.support.handed_on import STREAM, Told, connected, faults, recorded, stored, told
from tests.support.ledger import record
from tests.support.relaying import WINDOW, caught_up, events_of, hand_on, relaying


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


async def test_who_else_writes_to_the_stream_is_found_out(database_url, forgetful) -> None:
    connection = await connected(forgetful)
    await connection.jetstream().publish("notification-preferences.org.toggled", b"{}")
    await connection.close()
    relay = Relay(BrokerStream([forgetful], STREAM))
    with pytest.raises(StreamUnusable, match="another program writes"):
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
