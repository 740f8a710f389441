"""Followers on a real PostgreSQL: exactly once, in order, one runner at a time."""

import asyncio
import time
from typing import Any

import psycopg
import pytest

from api.bootstrap.followers import run_followers
from infrastructure.followers.journal import PostgresJournal
from infrastructure.followers.notifications import Notifications
from infrastructure.followers.runner import BUSY, Rests
from infrastructure.postgres.session import Session, connect
from tests.support.ledger import Ledger, positions, record, written_down
from tests.support.running_followers import running, states, until


def test_on_a_busy_log_each_rest_is_twice_as_long_up_to_a_limit_and_a_quiet_log_ends_that() -> None:
    rests = Rests(0.02, 0.1)
    busy = [rests.after(handled) for handled in range(BUSY, 6 * BUSY, BUSY)]
    assert busy == [0.04, 0.08, 0.1, 0.1, 0.1]
    assert rests.after(6 * BUSY) == 0.1
    assert rests.after(6 * BUSY + 1) == 0.02


async def test_every_event_is_handled_once_in_order_and_the_position_is_that_of_the_last(url: str) -> None:
    await record(url, 25)
    follower = Ledger()
    async with running(url, follower, batch=10):
        await until(lambda: len(written_down(url)) == 25)
        await record(url, 5)
        await until(lambda: len(written_down(url)) == 30)
    assert written_down(url) == positions(url)
    assert states(url) == {"ledger": (positions(url)[-1], False, None, None)}
    assert max(follower.batches) == 10


async def test_a_busy_log_is_followed_while_eight_write_and_nothing_is_missed(url: str) -> None:
    async def write() -> None:
        for _ in range(20):
            await record(url, 5)

    async with running(url, Ledger(), batch=50):
        await asyncio.gather(*(write() for _ in range(8)))
        await until(lambda: len(written_down(url)) == 800)
    assert written_down(url) == positions(url)


async def test_of_two_runners_one_leads_and_the_other_takes_over(url: str) -> None:
    first, second = Ledger(), Ledger()
    async with running(url, second) as _:
        # `second` may lead at first: whoever does is found out by what it was handed.
        async with running(url, first):
            await record(url, 10)
            await until(lambda: len(written_down(url)) == 10)
            leader, waiting = (first, second) if first.batches else (second, first)
            assert waiting.batches == []
            if leader is second:
                return
        await record(url, 10)
        await until(lambda: len(written_down(url)) == 20)
    assert second.batches
    assert written_down(url) == positions(url)


async def test_a_handler_sees_what_was_committed_before_each_statement_whatever_the_databases_default(url: str) -> None:
    class Curious(Ledger):
        isolation: Any = None

        async def handle(self, events: Any, transaction: Any) -> None:
            await super().handle(events, transaction)
            self.isolation = await (await transaction.execute("SHOW transaction_isolation")).fetchone()

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"ALTER DATABASE {connection.info.dbname} SET default_transaction_isolation = 'serializable'"
        )
    await record(url, 5)
    curious = Curious()
    async with running(url, curious):
        await until(lambda: len(written_down(url)) == 5)
    assert curious.isolation == ("read committed",)


async def test_a_notification_wakes_who_would_sleep_for_long(url: str) -> None:
    # Given one who would look by itself after an hour
    follower = Ledger()
    await record(url, 1)
    async with running(url, follower, poll=3600):
        await until(lambda: len(written_down(url)) == 1)
        await asyncio.sleep(0.2)
        assert follower.batches == [1]
        await record(url, 1)
        await until(lambda: len(written_down(url)) == 2)


async def test_after_a_busy_time_a_notification_wakes_again_who_would_sleep_for_long(url: str) -> None:
    # Given a follower that would look by itself after an hour, and a log that is busy for a while
    async with running(url, Ledger(), poll=3600):
        for number in range(1, 4):
            await record(url, 5 * BUSY)
            await until(lambda: len(written_down(url)) == number * 5 * BUSY)  # noqa: B023 - awaited here
        # when the log is quiet again, then a single event wakes it.
        await asyncio.sleep(0.2)
        await record(url, 1)
        await until(lambda: len(written_down(url)) == 15 * BUSY + 1)


async def test_only_who_heeds_notifications_receives_them(url: str) -> None:
    stop = asyncio.Event()
    async with await connect(url, Session(application="preferences test")) as connection:
        notifications = Notifications(connection)
        # Given one who heeds them since just now, so that the log may have grown before
        assert not await notifications.heed()
        assert await notifications.heed()
        # then an event wakes it.
        await record(url, 1)
        async with asyncio.timeout(60):
            await notifications.wait(stop, 3600)
        # And who ignores them sleeps on.
        await notifications.ignore()
        await record(url, 1)
        started = time.monotonic()
        await notifications.wait(stop, 0.2)
        assert time.monotonic() - started >= 0.2
        assert not await notifications.heed()


async def test_what_nobody_foresaw_in_one_follower_ends_them_all(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE followers RENAME COLUMN paused TO halted")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await run_followers(url, [Ledger("one"), Ledger("other")], asyncio.Event())


async def test_two_followers_are_each_at_a_position_of_their_own(url: str) -> None:
    await record(url, 10)
    poison = positions(url)[3]
    stop = asyncio.Event()
    running_both = asyncio.create_task(run_followers(url, [Ledger("one"), Ledger("other", [poison])], stop))
    await until(lambda: {"one", "other"} <= states(url).keys() and states(url)["other"][2] is not None)
    await until(lambda: states(url)["one"][0] == positions(url)[-1])
    stop.set()
    await running_both
    assert states(url)["other"][:3] == (positions(url)[2], False, poison)


async def test_a_leader_that_stops_listening_in_the_middle_of_an_answer_does_not_lead_for_ever(url: str) -> None:
    # Given a leader that has asked for more than fits into its connection, and takes in none of it
    name = Ledger().name
    leader = await psycopg.AsyncConnection.connect(url, autocommit=True)
    assert await PostgresJournal(leader, name).lead()
    leader.pgconn.send_query(b"SELECT repeat('x', 1000000) FROM generate_series(1, 100)")
    leader.pgconn.flush()
    # when another one stands by, then it leads in time
    started = time.monotonic()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        journal = PostgresJournal(other, name)
        async with asyncio.timeout(20):
            while not await journal.lead():
                assert time.monotonic() - started < 20
                await asyncio.sleep(0.2)
    # and not before it is sure that nobody listens.
    assert time.monotonic() - started > 4
    await leader.close()
