"""A relay and its connection while the broker is away."""

import asyncio
import gc

import psycopg
import pytest

from infrastructure.embedded.nats_server import NatsServer
from infrastructure.nats.broker_connection import BrokerUnavailable
from infrastructure.nats.jetstream import BrokerStream
from infrastructure.nats.relay import NAME
from projections.nats_messages import message
from tests.support import processes
from tests.support.events import toggled
from tests.support.handed_on import STREAM, faults, recorded, told
from tests.support.ledger import record
from tests.support.relaying import caught_up, relaying


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
