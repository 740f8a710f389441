"""Who follows the log by position sees every event, and no change is lost, however many write at the same time."""

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import psycopg
import pytest
from ulid_transform import ulid_now

from application.preferences.draft import Draft
from application.preferences.state import Change
from application.preferences.store import Append
from domain.preferences import stream_id
from domain.provenance import Provenance, Source
from infrastructure.log.sealing import new_key
from infrastructure.postgres.sql import queries
from infrastructure.preferences import event_store
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.figures import figures
from tests.support.folded_log import FoldedLog
from tests.support.many_writers import TOGGLES, WRITERS, write_everywhere
from tests.support.partitioned import one_table
from tests.support.patient_database import patient_database
from tests.support.soak import rounds, soak
from tests.support.tailing_reader import TailingReader

CHANGES = rounds(1_600, 20_000)
LOCK = "PERFORM pg_advisory_xact_lock(7305114882901);"


@soak
async def test_sixteen_writers_in_two_processes_lose_nothing_and_a_reader_of_the_log_misses_nothing(
    serve, database_url, record_property
) -> None:
    # Given two server processes, eight connections to each, and somebody who follows the log by position
    server = serve(web_concurrency=2, log_level="warning")
    with TailingReader(database_url) as reader:
        # when all of them change the preferences of the same ten users as fast as they can
        started = time.monotonic()
        told_by_worker = await write_everywhere(server, CHANGES)
        seconds = time.monotonic() - started
    # then the reader saw every position once, in order
    log = FoldedLog(database_url)
    assert reader.seen == log.positions
    # and every stream is gapless and its row is what the log folds to
    assert log.faults == []
    # and every change that was answered is recorded as it was asked for, and nothing besides
    told = [answers for writers in told_by_worker for answers in writers]
    changes = [answer for answers in told for answer in answers if answer.requested]
    assert len(changes) == CHANGES
    assert log.faults_of(changes) == []
    assert log.events_of.keys() <= {change.request_id for change in changes}
    # and every answer was true when it was given
    assert [fault for answers in told for fault in log.untrue(answers)] == []
    # and this was a contest: each user's stream went from process to process all the time.
    worker_of = {
        answer.request_id: worker
        for worker, writers in enumerate(told_by_worker)
        for answers in writers
        for answer in answers
    }
    handovers = sum(
        worker_of[before.request_id] != worker_of[after.request_id]
        for moments in log.moments.values()
        for before, after in pairwise(moments[1:])
    )
    assert handovers > CHANGES / 20
    figures(
        record_property,
        changes=CHANGES,
        events=len(log.positions),
        from_process_to_process=handovers,
        changes_per_second=round(CHANGES / seconds),
    )


def test_the_same_reader_misses_events_where_writers_take_no_lock(database_url, record_property) -> None:
    # Given a table with a sequence, and writers who insert and commit without a lock
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE unlocked (notification_id bigserial PRIMARY KEY)")
    with TailingReader(database_url, "unlocked") as reader:
        at_random(database_url)
        # when one of them takes its position, and another one a later position that it commits first
        with psycopg.connect(database_url) as slow, psycopg.connect(database_url) as quick:
            [(missed,)] = slow.execute("INSERT INTO unlocked DEFAULT VALUES RETURNING notification_id").fetchall()
            [(later,)] = quick.execute("INSERT INTO unlocked DEFAULT VALUES RETURNING notification_id").fetchall()
            quick.commit()
            reader.wait_for(later)
            slow.commit()
    # then the reader has passed over the first one, for ever.
    with psycopg.connect(database_url) as connection:
        positions = [row[0] for row in connection.execute("SELECT notification_id FROM unlocked ORDER BY 1")]
    assert missed in positions
    assert missed not in reader.seen
    figures(record_property, inserted=len(positions), missed=len(positions) - len(reader.seen))


def at_random(database_url: str) -> None:
    def insert() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            for _ in range(250):
                connection.execute("INSERT INTO unlocked DEFAULT VALUES")

    writers = [threading.Thread(target=insert) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


@pytest.mark.parametrize("locked", [True, False], ids=["with_the_lock", "and_without_the_lock_it_would_be_missed"])
async def test_who_has_a_position_makes_the_next_one_wait_until_it_is_committed(database_url, locked) -> None:
    if not locked:
        remove_the_lock(database_url)
    statement = queries("preferences")["append"]
    ada, bob = ([event_store.stored_batch([first_append(f"user_{name}")])] for name in ("ada", "bob"))
    with (
        TailingReader(database_url) as reader,
        psycopg.connect(database_url) as slow,
        psycopg.connect(database_url) as quick,
    ):
        # Given a writer who has appended and not yet committed
        slow.execute(statement, ada)
        # when another one appends to another stream
        append = threading.Thread(target=lambda: (quick.execute(statement, bob), quick.commit()))
        append.start()
        append.join(0.3)
        # then it waits,
        assert append.is_alive() is locked
        if not locked:
            reader.wait_for(3)
        slow.commit()
        append.join()
    # and a reader sees the events of both.
    assert reader.seen == ([1, 2, 3, 4] if locked else [3, 4])


def first_append(user: str) -> Append:
    """Two events: a stream is opened, and something chosen."""
    draft = Draft(stream_id("org_math", user), None)
    draft.decide(Change(draft.stream, {f"email.{TOGGLES[0]}": False}, provenance()), iter(ulid_now, None))
    return draft.to_append(new_key)


def remove_the_lock(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        [(definition,)] = connection.execute("SELECT pg_get_functiondef('append_events'::regproc)").fetchall()
        assert LOCK in definition
        connection.execute(definition.replace(LOCK, ""))


AppendWith = Callable[[PostgresPreferencesStore, Append], Awaitable[bool]]


async def checked(store: PostgresPreferencesStore, append: Append) -> bool:
    return append.row.stream in await store.append([append])


async def unchecked(store: PostgresPreferencesStore, append: Append) -> bool:
    """What a table without versions does: the later one wins, and nobody is told."""
    for event in append.events:
        await store._database.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
            "VALUES (%s, %s, %s, '') ON CONFLICT (originator_id, originator_version) DO UPDATE SET topic = excluded.topic",
            [event.originator_id, event.originator_version, event.event_id],
        )
    return True


async def test_two_stores_that_append_to_one_stream_never_lose_an_update(database_url, record_property) -> None:
    # Given two stores, when both append to a stream over and over, each time from the same state
    accepted, refused = await race(database_url, checked)
    # then one of them is refused each time, and whatever was accepted is recorded, once.
    log = FoldedLog(database_url)
    recorded = [event.event_id for events in log.events_of.values() for event in events]
    assert log.faults == []
    assert sorted(recorded) == sorted(accepted)
    assert refused >= ROUNDS
    figures(record_property, accepted=len(accepted), refused=refused)


@one_table
async def test_two_stores_that_would_not_check_the_version_lose_updates(database_url, record_property) -> None:
    accepted, _ = await race(database_url, unchecked)
    with psycopg.connect(database_url) as connection:
        recorded = {row[0] for row in connection.execute("SELECT topic FROM preferences_events")}
    lost = set(accepted) - recorded
    assert len(lost) >= ROUNDS
    figures(record_property, accepted=len(accepted), lost=len(lost))


ROUNDS = 100


async def race(database_url: str, append_with: AppendWith) -> tuple[list[str], int]:
    """Two stores take turns at nothing: each round both read, then both append. Accepted event ids, and refusals."""
    stream = stream_id("org_math", "user_ada")
    ids = iter(ulid_now, None)
    accepted: list[str] = []
    refused = 0

    def drafted(row, number: int) -> Append:
        draft = Draft(stream, row)
        wanted = {f"email.{TOGGLES[0]}": bool(number % 2), f"email.{TOGGLES[1]}": bool(number % 2)}
        draft.decide(Change(stream, wanted, provenance()), ids)
        return draft.to_append(new_key)

    async with patient_database(database_url, size=1) as one, patient_database(database_url, size=1) as other:
        stores: Sequence[PostgresPreferencesStore] = [PostgresPreferencesStore(one), PostgresPreferencesStore(other)]
        for number in range(ROUNDS):
            rows = [(await store.load([stream])).get(stream) for store in stores]
            appends = [drafted(row, number) for row in rows]
            done = await asyncio.gather(*(append_with(*pair) for pair in zip(stores, appends, strict=True)))
            for append, success in zip(appends, done, strict=True):
                if success:
                    accepted += [event.event_id for event in append.events]
                else:
                    refused += 1
    return accepted, refused


def provenance() -> Provenance:
    return Provenance(
        {"user": "user_ada"}, "org_math", Source.DASHBOARD, f"request-{next(REQUESTS)}", datetime.now(UTC), 1
    )


REQUESTS = itertools.count(1)
