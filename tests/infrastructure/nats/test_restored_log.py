"""The relay after the log was restored, or continued after a failover: what was handed on before is held against it."""

import pytest

from infrastructure.nats.jetstream import BrokerStream, StreamUnusable
from infrastructure.nats.relay import Relay
from tests.support.handed_on import STREAM, faults, recorded, told
from tests.support.ledger import record
from tests.support.positions import execute, log_of, move_elsewhere
from tests.support.relaying import hand_on


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
