"""Followers on a real PostgreSQL: exactly once, in order, one runner at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from api.bootstrap.followers import run_followers
from application.followers import CannotReset
from domain.errors import Unavailable
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.followers import runner as followers
from infrastructure.followers.journal import PostgresJournal
from infrastructure.followers.register import FollowerRegister
from infrastructure.followers.runner import FollowerRunner
from infrastructure.postgres.database import Database
from tests.support import processes
from tests.support.events import NOON
from tests.support.ledger import TABLE, Ledger, positions, record, written_down


@pytest.fixture
def url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLE)
    return database_url


NOW = NOON + timedelta(hours=1)


@pytest.fixture
async def register(url: str) -> AsyncIterator[FollowerRegister]:
    async with Database(url, size=2) as database:
        yield FollowerRegister(database, lambda: NOW)


@asynccontextmanager
async def running(url: str, follower: Any, **options: Any) -> AsyncIterator[FollowerRunner]:
    stop = asyncio.Event()
    runner = FollowerRunner(url, follower, **{"poll": 0.05, "rest": 0, **options})
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def states(url: str) -> dict[str, tuple[int, bool, int | None, str | None]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, position, paused, failed_position, failure FROM followers").fetchall()
    return {name: tuple(rest) for name, *rest in rows}


async def test_on_a_busy_log_each_rest_is_twice_as_long_up_to_a_limit_and_a_quiet_log_ends_that(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    sleep = followers._sleep

    async def noted(stop: asyncio.Event, seconds: float) -> bool:
        rests.append(seconds)
        return await sleep(stop, seconds)

    monkeypatch.setattr(followers, "_sleep", noted)
    follower = Ledger()
    async with running(url, follower, rest=0.01, longest_rest=0.04):
        for number in range(1, 5):
            await record(url, followers.BUSY)
            await until(lambda number=number: len(written_down(url)) == number * followers.BUSY)
            await until(lambda number=number: max(rests) >= min(0.01 * 2**number, 0.04))
        await record(url, 1)
        await until(lambda: rests[-1] == 0.01)
    assert max(rests) == 0.04


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


async def test_what_is_unavailable_is_waited_for_and_stops_nobody(url: str) -> None:
    class Impatient(Ledger):
        refusals = 3

        async def handle(self, events: Any, transaction: Any) -> None:
            await super().handle(events, transaction)
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("no broker")

    await record(url, 5)
    async with running(url, Impatient()):
        await until(lambda: len(written_down(url)) == 5)
    assert states(url)["ledger"][2] is None


async def test_a_follower_that_has_looked_waits_no_longer_after_the_next_outage_than_after_the_first(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut() -> list[int]:
        """The sessions of followers that were ended."""
        with psycopg.connect(url) as connection:
            query = (
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'preferences follower%'"
                " AND datname = current_database() AND query LIKE '%events_with_keys%' AND pg_terminate_backend(pid, 1000)"
            )
            return [pid for (pid,) in connection.execute(query)]

    monkeypatch.setattr(followers, "FIRST_PAUSE", 0.01)
    with capture_logs() as logged:
        # Given a follower of a log without any events, whose connection is cut time and again after it has looked,
        async with running(url, Ledger(), poll=0.02):
            for _ in range(6):
                await until(lambda: bool(cut()))
    # then it is back as soon each time.
    waited = [line["seconds"] for line in logged if line["event"] == "follower waits"]
    assert len(waited) >= 5
    assert {*waited} == {0.01}


async def test_a_connection_that_the_server_ends_is_made_anew(url: str) -> None:
    await record(url, 5)
    async with running(url, Ledger()):
        await until(lambda: len(written_down(url)) == 5)
        with psycopg.connect(url) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'preferences follower%' AND datname = current_database()"
            ).fetchall()
        assert ended == [(True,)]
        await record(url, 5)
        await until(lambda: len(written_down(url)) == 10)
    assert written_down(url) == positions(url)


@pytest.mark.parametrize("how", ["stops", "crashes"])
async def test_a_database_that_stops_or_crashes_is_waited_for(ready_cluster, folder, how: str) -> None:
    with EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres:
        with psycopg.connect(postgres.url) as connection:
            connection.execute(TABLE)
        await record(postgres.url, 5)
        async with running(postgres.url, Ledger()):
            await until(lambda: len(written_down(postgres.url)) == 5)
            if how == "crashes":
                processes.kill(postgres.pid)
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(postgres.start)
            await record(postgres.url, 5)
            await until(lambda: len(written_down(postgres.url)) == 10)
        assert written_down(postgres.url) == positions(postgres.url)
        assert states(postgres.url)["ledger"][2] is None


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
