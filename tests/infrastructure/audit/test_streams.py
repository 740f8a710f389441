"""A user's stream as of an instant: the database picks what the aggregate would have folded."""

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import psycopg
import pytest

from application.audit.users import LATER_THAN_ANY_EVENT, HistoryAsOf
from application.log import BrokenStream
from application.preferences.store import Append
from domain.events import NotificationToggled, PreferencesEvent
from domain.preferences import NotificationPreferences
from domain.provenance import ERASED, Provenance, Source
from domain.published_catalogues import STREAM
from infrastructure.audit.log import open_database
from infrastructure.audit.streams import PostgresStreams
from infrastructure.postgres.database import Database
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.postgres.sql import queries
from infrastructure.preferences.event_store import PostgresPreferencesStore
from projections.as_of import PreferencesAsOf
from tests.support.catalogues import catalogue, publish
from tests.support.events import ADA, BOB, NOON, erased, opened, row_after, toggled
from tests.support.filled_log import fill
from tests.support.partitioned import one_table
from tests.support.patient_database import patient_database

CATALOGUE = catalogue(1, news=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with patient_database(database_url) as database:
        yield database


async def append(database: Database, *events: PreferencesEvent) -> None:
    first = [Append(0, events, row_after(None, *events), opens_key=True)]
    assert await PostgresPreferencesStore(database).append(first)


async def until(database: Database, instant: datetime = LATER_THAN_ANY_EVENT) -> HistoryAsOf:
    return await PostgresStreams(ReadDatabase(database), lambda: NOON).evidence(ADA, instant)


@pytest.mark.parametrize("seed", range(5))
async def test_at_every_instant_it_is_what_the_aggregate_held(database: Database, seed: int) -> None:
    # Given a stream with several choices a request, at moments that may be the same
    chance = random.Random(seed)
    ids = (f"01JTBQH2FZ8K1RXC0WJ4Z{number:05}" for number in range(10_000))
    aggregate: NotificationPreferences | None = None
    events: list[PreferencesEvent] = []
    held: dict[datetime, tuple[int, dict[str, bool]]] = {}
    at = NOON
    for _ in range(60):
        at += timedelta(microseconds=chance.choice([0, 1, 999_999, 86_400_000_000]))
        provenance = Provenance({"user": "user_ada"}, "org_math", Source.DASHBOARD, next(ids), at, 1)
        aggregate = aggregate or NotificationPreferences.open(ADA, provenance, ids)
        wanted = {f"email.t{number}": chance.random() < 0.5 for number in chance.sample(range(6), chance.randrange(3))}
        aggregate.choose(wanted, provenance, ids)
        events += aggregate.collect_events()
        held[at] = (aggregate.version, dict(aggregate.choices))
    await append(database, *events)

    # when it is asked for any of these moments, or the one before all
    for instant, (version, choices) in held.items():
        evidence = await until(database, instant)
        # then the answer is what the aggregate held then, and rests on the events that made it so.
        assert evidence.version == version
        assert PreferencesAsOf.of(CATALOGUE, version, evidence.deciding, evidence.catalogues).choices == choices
        assert all(event in events for event in evidence.deciding)
        assert all(event.timestamp <= instant for event in evidence.deciding)
    assert (await until(database)).version == aggregate.version
    before = await until(database, NOON - timedelta(microseconds=1))
    assert (before.version, before.deciding) == (0, [])


async def test_the_catalogues_come_along_also_for_who_never_chose(database: Database, database_url: str) -> None:
    assert (await until(database)).catalogues.newest is None
    await publish(database_url, CATALOGUE)
    await publish(database_url, catalogue(CATALOGUE.version + 1, news=False))
    evidence = await until(database)
    assert (evidence.version, evidence.deciding) == (0, [])
    assert [event.catalogue_version for event in evidence.catalogues.events] == [
        CATALOGUE.version,
        CATALOGUE.version + 1,
    ]


async def test_a_stream_that_only_began_has_a_version_and_no_choice(database: Database) -> None:
    await append(database, opened())
    evidence = await until(database)
    assert (evidence.version, evidence.deciding) == (1, [])


async def test_nobody_elses_choices_are_among_them(database: Database) -> None:
    mine, other = toggled(2, "news", False), toggled(2, "digest", True, BOB)
    await append(database, opened(), mine)
    await append(database, opened(BOB), other)
    assert (await until(database)).deciding == [mine]


async def test_after_an_erasure_nobody_is_named(database: Database) -> None:
    await append(database, opened(), toggled(2, "news", False), erased(3))
    await database.execute("DELETE FROM person_keys")
    evidence = await until(database)
    assert evidence.version == 3
    [event] = evidence.deciding
    assert isinstance(event, NotificationToggled)
    assert (event.enabled, event.actor) == (False, ERASED)


async def test_who_comes_back_after_an_erasure_is_named_from_then_on_and_not_before(database: Database) -> None:
    await append(database, opened(), toggled(2, "news", False), erased(3))
    await database.execute("DELETE FROM person_keys")
    erased_row = row_after(None, opened(), toggled(2, "news", False), erased(3))
    again = toggled(4, "digest", True)
    back = row_after(erased_row._replace(key=bytes(32)), again)
    assert await PostgresPreferencesStore(database).append([Append(3, [again], back, opens_key=True)])
    actors = {event.originator_version: event.actor for event in (await until(database)).deciding}
    assert actors == {2: ERASED, 4: again.actor}


async def test_a_gap_is_never_papered_over(database: Database) -> None:
    await append(database, opened(), toggled(2, "news", False), toggled(3, "news", True, previous=False))
    await database.execute("DELETE FROM preferences_events WHERE originator_version = 2")
    with pytest.raises(BrokenStream, match="2 events up to version 3"):
        await until(database)


async def test_names_that_are_written_with_an_escape_are_told_apart(database: Database) -> None:
    one, other = toggled(2, 'say "yes"', False), toggled(3, 'say "no"', True)
    await append(database, opened(), one, other)
    assert (await until(database)).deciding == [one, other]


async def test_a_very_long_stream_is_answered(database_url: str) -> None:
    fill(database_url, 200_000)
    async with open_database(database_url) as database:
        evidence = await until(database)
    assert evidence.version == 200_000
    assert [event.originator_version for event in evidence.deciding] == [200_000]


@one_table
def test_only_the_two_streams_are_read(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off"
        )  # empty tables are scanned otherwise
        plan = connection.execute(
            "EXPLAIN " + queries("streams")["evidence"],
            {"stream": ADA, "until": NOON, "topic": NotificationToggled.TOPIC, "catalogues": STREAM},
        ).fetchall()
    scans = [line.strip() for (line,) in plan if "Scan" in line and " on preferences_events" in line]
    assert len(scans) == 3  # the user's stream, what of it is shown, the catalogue's
    assert all("using preferences_events_pkey" in scan for scan in scans)
