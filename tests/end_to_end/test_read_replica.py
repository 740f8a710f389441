"""A service that reads from a standby: a reader is never shown less than it was promised, whatever the standby lacks."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infrastructure.feed.event_feed import PostgresEventFeed
from infrastructure.postgres.read_database import ReadDatabase, Replica
from infrastructure.postgres.read_replica import ReadReplica
from tests.support import eventually
from tests.support.catalogues import publish
from tests.support.events import ADA, NOON
from tests.support.events_client import EVENTS, events_key, lines, positions, stream
from tests.support.figures import figures
from tests.support.folded_log import FoldedLog
from tests.support.keep_alive import KeepAlive
from tests.support.ledger import positions as log_positions
from tests.support.ledger import record
from tests.support.many_writers import WRITERS, write_by
from tests.support.patient_database import patient_database
from tests.support.processes import freeze, thaw
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.standby import Pair
from tests.support.tailing_reader import TailingReader
from tests.support.tokens import bearer
from tests.support.user_questions import ADMIN, path_of

CHANGES = rounds(1_600, 20_000)
AUDIT = "/v1/audit-log"
LONG_AGO = "2026-05-01T00:00:00Z"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Pair.running() as running:
        running.follow(synchronous=False)
        yield running


class Replicated:
    """A server that reads from the standby, and what it says of that."""

    def __init__(self, pair: Pair, server: Server) -> None:
        self.pair, self.server = pair, server

    def reads(self) -> dict[str, int]:
        """How many reads each of the two servers answered."""
        return {server: int(count) for server, count in self._metric("preferences_reads_total", "server").items()}

    def gauge(self, name: str) -> float | None:
        return self._metric(name, "").get("")

    def pools(self) -> set[str]:
        """The pools of connections that it tells of."""
        return {*self._metric("preferences_pool_connections_max", "pool")}

    def _metric(self, name: str, label: str) -> dict[str, float]:
        response = httpx.get(f"{self.server.url}/metrics", timeout=10)
        return {
            sample.labels.get(label, ""): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
            if sample.name == name
        }

    def said(self) -> list[str]:
        """The lines about the replica: what each says."""
        logged = [json.loads(line) for line in self.server.log().decode().splitlines() if line.startswith("{")]
        return [line["event"] for line in logged if "read replica" in line["event"]]

    @contextmanager
    def only(self, server: str, most: int = 0) -> Iterator[None]:
        """Within the context, the other server answers at most so many reads, and this one at least one."""
        other = {"replica": "primary", "primary": "replica"}[server]
        before = self.reads()
        yield
        after = self.reads()
        assert after[server] > before.get(server, 0)
        assert after.get(other, 0) - before.get(other, 0) <= most


def started(pair: Pair, url: str, **settings: Any) -> Server:
    primary, standby = pair.both(url)
    return Server(
        primary, read_database_url=standby, followers="on", role_scopes="admin=audit:read,events:read", **settings
    )


@pytest.fixture(scope="module")
def url(pair: Pair) -> str:
    """A log of a user who has changed their mind 199 times."""
    url = pair.new_database()

    async def fill() -> None:
        await publish(url, clock=lambda: NOON)
        await record(url, 200, ADA)

    asyncio.run(fill())
    return url


@pytest.fixture(scope="module")
def patient(pair: Pair, url: str) -> Iterator[Replicated]:
    """With a limit that no test comes to: the standby is asked, however far it is behind."""
    with started(pair, url, read_lag_limit=600) as server:
        yield Replicated(pair, server)


@pytest.fixture
async def http(patient: Replicated) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=patient.server.url, timeout=10, headers=ADMIN) as client:
        yield client


@pytest.fixture
def paused(patient: Replicated) -> Iterator[None]:
    """The standby stands still, at the end of the log and of its index."""
    patient.pair.catch_up()
    patient.pair.pause()
    yield
    patient.pair.go_on()


@pytest.fixture(scope="module")
def everything(url: str) -> dict[str, str]:
    return asyncio.run(events_key(url))


async def change(http: httpx.AsyncClient, user: str, value: bool) -> None:
    response = await http.patch(PATH, json={"email": {"product_updates": value}}, headers=bearer(user))
    assert response.status_code == 200, response.text


async def got(http: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
    response = await http.get(path, params=query, headers=headers or ADMIN)
    assert response.status_code == 200, response.text
    return response.json()


async def indexed(url: str) -> None:
    """Return when the audit index has the whole log."""
    question = "SELECT position = (SELECT max(notification_id) FROM preferences_events) FROM followers"
    with psycopg.connect(url, autocommit=True) as connection:
        await asyncio.to_thread(eventually.until, lambda: connection.execute(question).fetchall() == [(True,)])


# What the standby gives


async def test_pages_lines_exports_and_numbers_come_from_the_standby(patient, http, url, everything) -> None:
    await indexed(url)
    await asyncio.to_thread(patient.pair.catch_up)
    log = log_positions(url)
    with patient.only("replica"):
        read, end = await lines(http, everything)
        assert (positions(read), end) == (log, log[-1])
        page = await got(http, EVENTS, everything, after=log[5], limit=50)
        assert positions(page["data"]) == log[6:56]
    with patient.only("replica"):
        assert len((await got(http, AUDIT, limit=100))["data"]) == 100
    with patient.only("replica"):
        export = await http.get(AUDIT, headers={**ADMIN, "Accept": "application/x-ndjson"})
        # The audit log doesn't show the event that opens a stream.
        assert len(export.text.splitlines()) == 199
    with patient.only("replica"):
        days = (await got(http, f"{AUDIT}/summary", since="2026-01-01T00:00:00Z", until="2026-12-31T00:00:00Z"))["data"]
        assert sum(day["opt_ins"] + day["opt_outs"] for day in days) == 199
    with patient.only("replica"):
        await got(http, path_of("user_anybody"), as_of=LONG_AGO)


async def test_what_must_not_lag_is_read_from_the_primary(patient, http, paused) -> None:
    before = patient.reads()
    await change(http, "user_present", False)
    own = bearer("user_present")
    assert (await got(http, PATH, own))["data"]["email"]["product_updates"] is False
    assert len((await got(http, f"{PATH}/history", own))["data"]) == 1
    shown = await got(http, path_of("user_present"))
    assert shown["data"]["notifications"]["email"]["product_updates"] is False
    assert len((await got(http, f"{path_of('user_present')}/history"))["data"]) == 1
    assert patient.reads() == before


# What the standby lacks


async def test_a_page_after_a_position_that_the_standby_lacks_comes_from_the_primary(
    patient, http, url, everything, paused
) -> None:
    await change(http, "user_page", True)
    await change(http, "user_page", False)
    *_, before, last = log_positions(url)
    with patient.only("primary"):
        page = await got(http, EVENTS, everything, after=before)
        assert positions(page["data"]) == [last]
    with patient.only("primary", most=1):
        page = await got(http, EVENTS, everything, after=last)
        assert (page["data"], page["meta"]["next_after"]) == ([], last)
    beyond = await http.get(EVENTS, params={"after": last + 1}, headers=everything)
    assert (beyond.status_code, beyond.json()["error"]["details"]) == (
        409,
        {"after": f"the log ends at position {last}"},
    )


async def test_lines_after_a_position_that_the_standby_lacks_come_from_the_primary(
    patient, http, url, everything, paused
) -> None:
    await change(http, "user_lines", True)
    await change(http, "user_lines", False)
    *_, before, last = log_positions(url)
    read, end = await lines(http, everything, after=before)
    assert (positions(read), end) == ([last], last)


async def test_lines_from_a_standby_say_how_far_they_go_and_the_next_ones_miss_nothing(
    patient, http, url, everything, paused
) -> None:
    known = log_positions(url)
    await change(http, "user_more", True)
    with patient.only("replica"):
        read, end = await lines(http, everything)
    assert positions(read) == [position for position in known if position <= end]
    await asyncio.to_thread(patient.pair.go_on)
    rest, _ = await lines(http, everything, after=end)
    assert positions(read) + positions(rest) == log_positions(url)


async def test_an_audit_page_has_all_that_it_says_it_has(patient, http, url, paused) -> None:
    await indexed(url)
    await asyncio.to_thread(patient.pair.go_on)
    await asyncio.to_thread(patient.pair.pause)
    # Given that the standby lacks the newest change, and the index on the primary has it
    changed_at = datetime.now(UTC)
    await change(http, "user_audited", False)
    await indexed(url)
    # when a page says that it has everything until now, then it has that change,
    page = await got(http, AUDIT, limit=2)
    assert datetime.fromisoformat(page["meta"]["last_event_at"]) > changed_at
    assert page["data"][0]["resource"]["id"] == "user_audited"
    # and so have an export and the numbers of the day,
    export = await http.get(AUDIT, headers={**ADMIN, "Accept": "application/x-ndjson"})
    assert json.loads(export.text.splitlines()[0])["resource"]["id"] == "user_audited"
    # and its cursor leads on, though the standby lacks the entry that it names.
    older = await got(http, AUDIT, limit=2, cursor=page["meta"]["next_cursor"])
    assert len(older["data"]) == 2


async def test_a_cursor_of_a_users_history_leads_on_though_the_standby_lacks_it(patient, http, paused) -> None:
    for value in (False, True, False):
        await change(http, "user_past", value)
    path = f"{path_of('user_past')}/history"
    first = await got(http, path, limit=1)
    with patient.only("primary"):
        second = await got(http, path, limit=1, cursor=first["meta"]["next_cursor"])
    await asyncio.to_thread(patient.pair.go_on)
    with patient.only("replica"):
        assert await got(http, path, limit=1, cursor=first["meta"]["next_cursor"]) == second


async def test_the_stream_tells_of_a_change_that_the_standby_lacks(patient, http, url, everything, paused) -> None:
    last = log_positions(url)[-1]
    async with stream(patient.server.url, everything, f"?after={last}") as reader:
        taking = asyncio.create_task(reader.take(2, within=5))
        await asyncio.sleep(0.3)
        before = time.monotonic()
        await change(http, "user_streamed", False)
        told = await taking
        seconds = time.monotonic() - before
    assert [message.position for message in told] == [one for one in log_positions(url) if one > last]
    assert seconds < 2


async def test_a_reader_of_the_stream_catches_up_on_the_standby_and_goes_on_with_the_tail(
    patient, http, url, everything, paused
) -> None:
    last = log_positions(url)[-1]
    async with stream(patient.server.url, everything, f"?after={last}") as first:
        # Given a tail that is ahead of the standby,
        taking = asyncio.create_task(first.take(2, within=5))
        await asyncio.sleep(0.3)
        await change(http, "user_tail", False)
        await taking
        # when somebody else reads from the beginning, then everything comes.
        log = log_positions(url)
        async with stream(patient.server.url, everything) as second:
            told = await second.take(len(log), within=10)
    assert [message.position for message in told] == log


async def test_with_a_standby_at_hand_the_stream_reads_it(patient, http, url, everything) -> None:
    last = log_positions(url)[-1]
    async with stream(patient.server.url, everything, f"?after={last}") as reader:
        await asyncio.sleep(0.3)
        with patient.only("replica", most=2):
            for number in range(20):
                await change(http, "user_at_hand", bool(number % 2))
            told = await reader.take(21, within=10)
    assert [message.position for message in told] == [one for one in log_positions(url) if one > last]


# The bound


async def test_a_standby_that_is_too_far_behind_is_left_and_comes_back(pair: Pair, everything, url) -> None:
    with started(pair, url, read_lag_limit=0.5) as server:
        replicated = Replicated(pair, server)
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            assert replicated.gauge("preferences_read_replica_used") == 1
            assert replicated.gauge("preferences_read_replica_lag_seconds") < 0.5
            assert replicated.pools() == {"requests", "feed", "audit", "feed_replica", "audit_replica"}
            # Given an idle primary for longer than the limit, then the standby is as good as it was.
            await asyncio.sleep(1)
            with replicated.only("replica"):
                await got(http, EVENTS, everything)
            pair.pause()
            try:
                # When the standby lacks something for longer than the limit,
                await change(http, "user_far", True)
                await asyncio.sleep(0.7)
                # then nobody is answered from it any more: also before that is reported.
                with replicated.only("primary"):
                    page = await got(http, EVENTS, everything, after=0, limit=1000)
                assert positions(page["data"]) == log_positions(url)
                eventually.until(lambda: replicated.gauge("preferences_read_replica_used") == 0)
                assert replicated.gauge("preferences_read_replica_lag_seconds") > 0.5
            finally:
                pair.go_on()
            eventually.until(lambda: replicated.gauge("preferences_read_replica_used") == 1)
            with replicated.only("replica"):
                await got(http, EVENTS, everything)
        assert replicated.said() == [
            "the read replica is used",
            "the read replica is not used: the primary is read instead",
            "the read replica is used again",
        ]
        assert re.search(r'"reason":"it is [0-9.]+ s behind, and READ_LAG_LIMIT is 0.5 s"', server.log().decode())


async def test_each_read_asks_the_standby_itself_whether_it_is_close_enough(pair: Pair) -> None:
    limit = 2.0
    primary_url, standby_url = pair.both(pair.new_database())
    counted: list[str] = []
    async with patient_database(primary_url) as primary, patient_database(standby_url) as standby:
        replica = ReadReplica(primary, standby, limit)
        database = ReadDatabase(primary, Replica(standby, replica, counted.append))
        feed = PostgresEventFeed(database)
        # Given a standby that was measured, and had everything,
        began = time.monotonic()
        await replica.measure()
        assert await feed.end() == 0
        await asyncio.sleep(limit / 2)
        pair.pause()
        try:
            # which then lacks an event for less than the limit: then it still answers,
            await record(primary_url, 1)
            await replica.measure()
            assert await feed.end() == 0
            assert counted == ["replica", "replica"]
            # and for longer: then the primary answers, although nobody has measured it since.
            await asyncio.sleep(max(0.0, began + limit + 0.1 - time.monotonic()))
            assert replica.usable
            assert await feed.end() > 0
            assert counted == ["replica", "replica", "primary"]
        finally:
            pair.go_on()


async def test_a_read_that_the_standby_cancels_for_its_recovery_is_made_on_the_primary(pair: Pair) -> None:
    url = pair.new_database()
    primary_url, standby_url = pair.both(url)
    conflicts = "SELECT confl_lock FROM pg_stat_database_conflicts WHERE datname = current_database()"
    # On the standby, this outlasts the test, and holds the table.
    slow = (
        "SELECT count(*) FROM audit_entries, LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_sleep(60) END) AS s"
    )
    counted: list[str] = []
    await record(url, 3)
    async with patient_database(primary_url) as primary, patient_database(standby_url) as standby:
        replica = ReadReplica(primary, standby, 600.0)
        database = ReadDatabase(primary, Replica(standby, replica, counted.append))
        await replica.measure()
        await standby.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        await standby.execute("SELECT pg_reload_conf()")
        before = await standby.fetch(conflicts)
        # Given a read of the index
        reading = asyncio.create_task(database.read(lambda connection: connection.rows(slow)))
        working = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while await standby.fetch(working) != [(1,)]:  # noqa: ASYNC110 - a backend tells nobody that it works
            await asyncio.sleep(0.01)
        # when the index is made anew, whose lock the standby has to take,
        await primary.execute("TRUNCATE audit_entries")
        # then the answer is the primary's.
        assert await reading == [(0,)]
        assert counted == ["primary"]
        # A backend hands its counts on when it has nothing to do.
        async with asyncio.timeout(60):
            while await standby.fetch(conflicts) == before:  # noqa: ASYNC110 - nobody tells that
                await asyncio.sleep(0.1)


async def test_a_standby_that_gets_nothing_any_more_is_left_once_there_is_something(
    pair: Pair, everything, url
) -> None:
    with started(pair, url, read_lag_limit=0.5) as server:
        replicated = Replicated(pair, server)
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            thawed = pair.lag()
            try:
                await change(http, "user_cut", True)
                await asyncio.sleep(0.7)
                page = await got(http, EVENTS, everything, after=0, limit=1000)
                assert positions(page["data"]) == log_positions(url)
            finally:
                thaw(thawed)
            eventually.until(lambda: replicated.gauge("preferences_read_replica_used") == 1)


async def test_a_frozen_standby_keeps_nobody_for_long(pair: Pair, everything, url) -> None:
    with started(pair, url) as server:
        replicated = Replicated(pair, server)
        async with httpx.AsyncClient(base_url=server.url, timeout=30, headers=ADMIN) as http:
            await got(http, EVENTS, everything)
            await got(http, AUDIT)
            frozen = freeze(pair.standby.process)
            try:
                eventually.until(lambda: replicated.gauge("preferences_read_replica_used") == 0, seconds=10)
                before = time.monotonic()
                await got(http, EVENTS, everything)
                await got(http, AUDIT)
                assert time.monotonic() - before < 2
                # What must not lag never waits for it.
                await change(http, "user_frozen", True)
            finally:
                thaw(frozen)
            eventually.until(lambda: replicated.gauge("preferences_read_replica_used") == 1)
            with replicated.only("replica"):
                await got(http, EVENTS, everything)


# The order of the log


@soak
async def test_on_a_standby_a_reader_by_position_misses_nothing_either(pair: Pair, record_property) -> None:
    # Given two server processes at full speed on the primary, and somebody who follows the log by position on the standby
    url = pair.new_database()
    primary, standby = pair.both(url)
    with (
        Server(primary, log_level="warning") as one,
        Server(primary, log_level="warning") as other,
        TailingReader(standby) as reader,
        TailingReader(primary) as beside,
    ):
        started = time.monotonic()
        await write_by([[KeepAlive(server.url) for _ in range(WRITERS // 2)] for server in (one, other)], CHANGES)
        seconds = time.monotonic() - started
        during = len(reader.seen)
        await asyncio.to_thread(pair.catch_up)
    # then the reader saw every position of the primary's log once, in order, and most of them while they were written.
    log = FoldedLog(primary)
    assert reader.seen == beside.seen == log.positions
    assert log.faults == []
    assert during > len(log.positions) / 2
    figures(
        record_property, events=len(log.positions), seen_meanwhile=during, changes_per_second=round(CHANGES / seconds)
    )


def test_on_a_standby_the_same_reader_misses_events_where_writers_take_no_lock(pair: Pair) -> None:
    """The control."""
    primary, standby = pair.both(pair.new_database())
    with psycopg.connect(primary, autocommit=True) as connection:
        connection.execute("CREATE TABLE unlocked (notification_id bigserial PRIMARY KEY)")
    pair.catch_up()
    with TailingReader(standby, "unlocked") as reader:
        with psycopg.connect(primary) as slow, psycopg.connect(primary) as quick:
            [(missed,)] = slow.execute("INSERT INTO unlocked DEFAULT VALUES RETURNING notification_id").fetchall()
            [(later,)] = quick.execute("INSERT INTO unlocked DEFAULT VALUES RETURNING notification_id").fetchall()
            quick.commit()
            reader.wait_for(later)
            slow.commit()
        pair.catch_up()
    assert (missed, later) == (1, 2)
    assert reader.seen == [later]
