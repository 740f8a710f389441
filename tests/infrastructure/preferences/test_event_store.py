"""What every store must keep, on PostgreSQL and in memory, so that the tests that use the latter mean something."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from application.preferences.store import Append, AppendRefused, PreferencesStore
from domain.errors import Unavailable
from infrastructure.postgres.database import Database
from infrastructure.preferences.event_store import PostgresPreferencesStore
from projections.current_preferences import CurrentPreferences
from tests.support.events import ADA, BOB, opened, row_after, toggled
from tests.support.memory_store import MemoryStore
from tests.support.patient_database import patient_database


@pytest.fixture(params=["postgres", "memory"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PreferencesStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with patient_database(request.getfixturevalue("database_url")) as database:
        yield PostgresPreferencesStore(database)


def append(row: CurrentPreferences | None, *events) -> Append:
    return Append(row.version if row else 0, events, row_after(row, *events), opens_key=row is None)


FIRST = append(None, opened(), toggled(2, "news", False))
BOBS = append(None, opened(BOB), toggled(2, "digest", True, BOB))


async def test_who_never_chose_is_absent(store: PreferencesStore) -> None:
    assert await store.load([ADA, BOB]) == {}


async def test_what_was_appended_is_loaded_as_the_row_that_was_given(store: PreferencesStore) -> None:
    assert await store.append([FIRST, BOBS]) == {ADA, BOB}
    assert await store.load([ADA, BOB]) == {ADA: FIRST.row, BOB: BOBS.row}
    assert await store.changes(ADA, up_to=None, limit=10) == [FIRST.events[1]]


async def test_a_stream_that_moved_on_is_left_alone_and_hinders_nobody(store: PreferencesStore) -> None:
    await store.append([FIRST])
    late = append(None, opened(), toggled(2, "digest", True))
    assert await store.append([late, BOBS]) == {BOB}
    assert await store.load([ADA, BOB]) == {ADA: FIRST.row, BOB: BOBS.row}
    assert await store.changes(ADA, up_to=None, limit=10) == [FIRST.events[1]]


async def test_an_expected_version_ahead_of_the_stream_is_no_better(store: PreferencesStore) -> None:
    ahead = Append(5, [toggled(6, "news", True)], FIRST.row, opens_key=False)
    assert await store.append([ahead]) == set()


async def test_recorded_tells_events_from_others_at_the_same_place(store: PreferencesStore) -> None:
    await store.append([FIRST])
    never = toggled(2, "news", False)
    assert await store.recorded([*FIRST.events, never, toggled(9, "news", True)]) == {e.event_id for e in FIRST.events}


async def test_changes_come_newest_first_from_where_and_as_many_as_asked_for(store: PreferencesStore) -> None:
    events = [toggled(version, "news", version % 2 == 0) for version in range(2, 7)]
    await store.append([append(None, opened(), *events)])
    found = await store.changes(ADA, up_to=5, limit=3)
    assert [event.originator_version for event in found] == [5, 4, 3]


async def test_writers_at_the_same_time_never_lose_an_update(database_url: str) -> None:
    """Eight stores, each adding one version at a time to the same stream, each deciding from what it read."""

    async def write(writer: int) -> int:
        done = 0
        async with patient_database(database_url, size=1) as database:
            store = PostgresPreferencesStore(database)
            while done < 25:
                row = (await store.load([ADA])).get(ADA)
                new = [toggled(row.version + 1, f"t{writer}", bool(done % 2))] if row else [opened()]
                if await store.append([append(row, *new)]):
                    done += 1
        return done

    assert sum(await asyncio.gather(*(write(writer) for writer in range(8)))) == 200
    with psycopg.connect(database_url) as connection:
        versions = connection.execute(
            "SELECT originator_version FROM preferences_events ORDER BY notification_id"
        ).fetchall()
    assert versions == [(version,) for version in range(1, 201)]


async def test_positions_are_in_the_order_of_the_batch_and_the_row_names_the_last(database_url: str) -> None:
    async with patient_database(database_url) as database:
        await PostgresPreferencesStore(database).append([FIRST, BOBS])
    with psycopg.connect(database_url) as connection:
        log = connection.execute(
            "SELECT originator_id, originator_version, notification_id FROM preferences_events ORDER BY notification_id"
        ).fetchall()
        rows = dict(connection.execute("SELECT originator_id, position FROM current_preferences").fetchall())
    assert log == [(ADA, 1, 1), (ADA, 2, 2), (BOB, 1, 3), (BOB, 2, 4)]
    assert rows == {ADA: 2, BOB: 4}


@pytest.mark.parametrize("field", [{"organization": "nul \x00"}, {"actor": {"user": "two\x1fnames"}}])
async def test_a_value_that_can_not_be_stored_refuses_the_batch_and_records_nothing(database_url: str, field) -> None:
    poison = append(None, opened(BOB, **field), toggled(2, "news", True, BOB))
    async with patient_database(database_url) as database:
        store = PostgresPreferencesStore(database)
        with pytest.raises(AppendRefused):
            await store.append([FIRST, poison])
        assert await store.load([ADA, BOB]) == {}


async def test_a_foreign_writer_that_was_faster_is_a_stream_that_moved_on(database_url: str) -> None:
    """Events that somebody wrote past us, without the row: our version check can't see them, the primary key does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, 1, 'foreign', '{}')",
            [ADA],
        )
    async with patient_database(database_url) as database:
        store = PostgresPreferencesStore(database)
        assert await store.append([FIRST]) == set()
        with pytest.raises(AppendRefused):
            await store.append([FIRST, BOBS])


async def test_a_database_that_is_not_there_is_unavailable(postgres) -> None:
    async with Database(postgres.database_url("nowhere"), connect_within=0.2) as database:
        with pytest.raises(Unavailable):
            await PostgresPreferencesStore(database).load([ADA])


@pytest.mark.parametrize("setting", ["SET default_transaction_read_only = on", "SET lock_timeout = '50ms'"])
async def test_a_database_that_can_not_write_now_is_unavailable_and_not_an_error_of_ours(
    database_url: str, setting: str, new_database: Callable[[], str]
) -> None:
    """A standby after a failover; a lock held too long by somebody else."""
    name = database_url.rsplit("/", 1)[1].split("?")[0]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(setting.replace("SET", f"ALTER DATABASE {name} SET"))
        connection.execute("SELECT pg_advisory_lock(7305114882901)")
        async with patient_database(database_url) as database:
            with pytest.raises(Unavailable):
                await PostgresPreferencesStore(database).append([FIRST])
