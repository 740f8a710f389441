"""Followers that are stopped by an event, paused, resumed or set back; and what the register tells of them."""

import asyncio
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from application.followers import CannotReset
from infrastructure.followers.register import FollowerRegister
from tests.support.events import NOON
from tests.support.ledger import Ledger, positions, record, written_down
from tests.support.running_followers import NOW, running, states, until


async def test_an_event_that_can_not_be_handled_stops_the_follower_there_until_it_is_resumed(
    url: str, register: FollowerRegister, capsys
) -> None:
    await record(url, 30)
    poison = positions(url)[16]
    async with running(url, Ledger(poison=[poison]), batch=12):
        await until(lambda: states(url).get("ledger", (0, False, None, None))[2] is not None)
    # All before it was handled, and nothing of it and after it.
    assert written_down(url) == positions(url)[:16]
    position, paused, failed_position, failure = states(url)["ledger"]
    assert (position, paused, failed_position) == (positions(url)[15], False, poison)
    # Why, and where, and nothing that came with the event.
    assert failure is not None
    assert failure.startswith("ValueError in ledger.py, line ")
    told = capsys.readouterr()
    assert "follower stopped" in told.out + told.err
    assert "ada@example.com" not in failure + told.out + told.err
    # Another start changes nothing,
    mended = Ledger()
    async with running(url, mended):
        await asyncio.sleep(0.3)
        assert mended.batches == []
        # until somebody says so.
        assert await register.resume("ledger")
        await until(lambda: len(written_down(url)) == 30)
    assert written_down(url) == positions(url)
    assert states(url)["ledger"] == (positions(url)[-1], False, None, None)


async def test_an_event_that_nobody_can_read_stops_it_too(url: str) -> None:
    await record(url, 20)
    unreadable = positions(url)[7]
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE preferences_events SET topic = 'x' WHERE notification_id = %s", [unreadable])
    async with running(url, Ledger()):
        await until(lambda: states(url).get("ledger", (0, False, None, None))[2] is not None)
    assert written_down(url) == positions(url)[:7]
    assert states(url)["ledger"][2] == unreadable
    assert "x of stream" in str(states(url)["ledger"][3])


async def test_who_is_paused_is_handed_nothing_more_and_who_is_resumed_goes_on(
    url: str, register: FollowerRegister
) -> None:
    await record(url, 10)
    async with running(url, Ledger()):
        await until(lambda: len(written_down(url)) == 10)
        await register.pause("ledger")
        await record(url, 10)
        await asyncio.sleep(0.3)
        assert len(written_down(url)) == 10
        assert await register.resume("ledger")
        await until(lambda: len(written_down(url)) == 20)
    assert written_down(url) == positions(url)


async def test_pausing_waits_for_what_is_under_way(url: str, register: FollowerRegister) -> None:
    class Slow(Ledger):
        def __init__(self) -> None:
            super().__init__()
            self.begun, self.go_on = asyncio.Event(), asyncio.Event()

        async def handle(self, events: Any, transaction: Any) -> None:
            await super().handle(events, transaction)
            self.begun.set()
            await self.go_on.wait()

    await record(url, 5)
    slow = Slow()
    async with running(url, slow):
        await slow.begun.wait()
        pausing = asyncio.create_task(register.pause("ledger"))
        await asyncio.sleep(0.2)
        assert not pausing.done()
        slow.go_on.set()
        await pausing
        assert written_down(url) == positions(url)
        await record(url, 5)
        await asyncio.sleep(0.2)
    assert len(written_down(url)) == 5


async def test_who_is_paused_before_its_first_run_waits_for_its_resumption(
    url: str, register: FollowerRegister
) -> None:
    await register.pause("ledger")
    await record(url, 5)
    async with running(url, Ledger()):
        await asyncio.sleep(0.2)
        assert written_down(url) == []
        await register.resume("ledger")
        await until(lambda: len(written_down(url)) == 5)


@pytest.mark.parametrize("to", [0, 7])
async def test_who_is_set_back_undoes_what_it_made_and_is_handed_the_rest_again(
    url: str, register: FollowerRegister, to: int
) -> None:
    await record(url, 20)
    follower = Ledger()
    async with running(url, follower, batch=10):
        await until(lambda: len(written_down(url)) == 20)
        follower.batches.clear()
        # While it runs, and is handed more
        await asyncio.gather(register.reset(follower, to), record(url, 10))
        await until(lambda: len(written_down(url)) == 30)
    assert written_down(url) == positions(url)
    assert sum(follower.batches) >= 30 - to


async def test_a_reset_that_comes_while_a_batch_is_handled_is_not_overwritten(
    url: str, register: FollowerRegister
) -> None:
    await record(url, 500)
    follower = Ledger()
    async with running(url, follower, batch=5):
        for _ in range(10):
            await asyncio.sleep(0.02)
            with suppress(CannotReset):  # it has not come so far yet
                await register.reset(follower, 3)
        await until(lambda: states(url)["ledger"][0] == positions(url)[-1])
    assert written_down(url) == positions(url)


async def test_nobody_is_set_ahead_and_who_can_not_be_set_back_says_so(url: str, register: FollowerRegister) -> None:
    class Stubborn(Ledger):
        async def reset(self, position: int, transaction: Any) -> None:
            raise CannotReset("what was published stays published")

    with pytest.raises(CannotReset, match="has never run"):
        await register.reset(Ledger(), 0)
    await record(url, 5)
    async with running(url, Ledger()):
        await until(lambda: len(written_down(url)) == 5)
    end = positions(url)[-1]
    with pytest.raises(CannotReset, match="no event may be passed over"):
        await register.reset(Ledger(), end + 1)
    with pytest.raises(CannotReset, match="stays published"):
        await register.reset(Stubborn(), 0)
    assert states(url)["ledger"][0] == end
    assert written_down(url) == positions(url)


async def test_the_register_tells_how_far_behind_each_is(url: str, register: FollowerRegister) -> None:
    assert await register.statuses([]) == []
    [unknown] = await register.statuses(["ledger"])
    assert (unknown.state, unknown.position, unknown.lag_events, unknown.lag_seconds) == ("not running", 0, 0, 0)
    await record(url, 10)
    [behind] = await register.statuses(["ledger"])
    assert (behind.state, behind.lag_events) == ("not running", 10)
    # The events of these tests were recorded at noon of a day of their own; the first one a minute later.
    assert behind.lag_seconds == (NOW - NOON).total_seconds() - 60

    follower = Ledger(poison=[positions(url)[4]])
    async with running(url, follower):
        await until(lambda: states(url).get("ledger", (0, False, None, None))[2] is not None)
        [failed] = await register.statuses([])
        assert (failed.state, failed.leading, failed.lag_events) == ("failed", True, 6)
        assert failed.lag_seconds == (NOW - NOON).total_seconds() - 5 * 60
        await register.pause("ledger")
        await register.resume("ledger")
        follower.poison.clear()
        await until(lambda: len(written_down(url)) == 10)
        running_now, _other = await register.statuses(["other", "ledger"])
        assert (running_now.state, running_now.position) == ("running", positions(url)[-1])
        assert (running_now.lag_events, running_now.lag_seconds) == (0, 0)
        await register.pause("ledger")
        assert [status.state for status in await register.statuses([])] == ["paused"]
