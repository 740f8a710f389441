"""The daily counts of the audit index on a real PostgreSQL: they are what a count over the log itself says, whatever is asked for."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from application.audit.filter import AuditFilter
from application.audit.summary import BEGINNING
from application.followers import Stretch
from application.log import BrokenStream, Recorded
from domain.errors import Unavailable
from domain.provenance import Source
from infrastructure.audit.index import AuditIndexer
from infrastructure.audit.log import PostgresAuditLog, open_database
from infrastructure.audit.summary import PostgresDailyIndex, parts
from infrastructure.log.event_log import read_after
from infrastructure.postgres.read_database import ReadDatabase
from projections.shown_actor import ActorKind
from tests.support.daily_counts import by_day, wrong_counts
from tests.support.events import NOON, catalogue_published, toggled
from tests.support.filled_log import TOGGLES, Chance, put, take_in

SEED = 20261127
DAYS = 9
DAY = timedelta(days=1)
END = datetime(9999, 12, 31, tzinfo=UTC)
LATER = NOON + 2 * DAYS * DAY


@pytest.fixture
async def index(database_url: str) -> AsyncIterator[PostgresDailyIndex]:
    async with open_database(database_url) as database:
        reads = ReadDatabase(database)
        yield PostgresDailyIndex(reads, PostgresAuditLog(reads))


async def everything(url: str) -> list[Recorded]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await read_after(connection, 0, 1_000_000)


def run(url: str, statement: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


async def set_back(url: str, position: int) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await AuditIndexer().reset(position, connection)
        await connection.execute("UPDATE followers SET position = %s WHERE name = 'audit-index'", [position])


def chance(seed: int = SEED) -> Chance:
    return Chance(seed, seconds=DAYS * 86_400)


def any_filter(chosen: Chance) -> AuditFilter:
    def maybe(values: Any) -> Any:
        return chosen.random.choice([*values, *[None] * len([*values])])

    midnight = NOON - timedelta(hours=12)
    moments = [
        midnight,
        midnight + DAY,
        midnight + timedelta(days=4),
        midnight + timedelta(days=4, microseconds=1),
        NOON,
        NOON + timedelta(days=2, seconds=7),
        NOON + timedelta(days=2, seconds=9),
        midnight + 12 * DAY,
        *(NOON + timedelta(seconds=chosen.random.randrange(DAYS * 86_400)) for _ in range(3)),
    ]
    since, until = chosen.random.choice([BEGINNING, *moments]), chosen.random.choice([END, *moments])
    return AuditFilter(
        actor_kind=maybe(ActorKind),
        channel=maybe(["email"]),
        toggle=maybe(TOGGLES),
        enabled=maybe([True, False]),
        source=maybe(Source),
        since=min(since, until),
        until=max(since, until),
    )


async def asked(index: PostgresDailyIndex, organization: str, wanted: AuditFilter) -> list[Any]:
    since, until = wanted.since or BEGINNING, wanted.until or END
    return (await index.by_day(organization, wanted, since, until, at_least=0)).days


async def test_it_counts_what_the_log_has_whatever_is_asked_for(database_url: str, index) -> None:
    # Given a log with erasures, impersonated changes, several organizations and users without one
    chosen = chance()
    put(database_url, [catalogue_published(), *chosen.events(900)])
    await take_in(database_url, batch=97)
    log = await everything(database_url)
    assert wrong_counts(database_url) == []
    # when it is asked for by any filter and any time, also one that cuts days, then it says what a count over the log says.
    met = set()
    for wanted in [AuditFilter(), *(any_filter(chosen) for _ in range(200))]:
        for organization in ("org_math", "org_chess", "org_of_nobody"):
            counted = await asked(index, organization, wanted)
            assert counted == by_day(log, organization, wanted), (organization, wanted)
            met.add(len(counted))
    assert len(met) > 20
    assert max(met) > 150


async def test_each_class_is_shown_with_its_first_and_its_last_event(database_url: str, index) -> None:
    put(database_url, chance().events(300))
    await take_in(database_url)
    found = await index.by_day("org_math", AuditFilter(), NOON, LATER, at_least=0)
    events = dict(found.witnesses)
    assert len(found.classes) > 10
    for one in found.classes:
        first, last = events[one.oldest], events[one.newest]
        assert first.timestamp <= last.timestamp
        for event in (first, last):
            assert (event.channel, event.toggle, event.source, event.enabled) == (
                one.channel,
                one.toggle,
                one.source,
                one.enabled,
            )
            assert event.organization == "org_math"


async def test_set_back_and_made_again_it_counts_the_same(database_url: str, index) -> None:
    put(database_url, chance().events(400))
    await take_in(database_url)
    log = await everything(database_url)
    for position in (log[200].position, 0):
        await set_back(database_url, position)
        assert wrong_counts(database_url) == []
        before = [recorded for recorded in log if recorded.position <= position]
        assert await asked(index, "org_math", AuditFilter()) == by_day(before, "org_math", AuditFilter())
        await take_in(database_url, batch=50)
        assert wrong_counts(database_url) == []
        assert await asked(index, "org_math", AuditFilter()) == by_day(log, "org_math", AuditFilter())


async def test_a_batch_that_is_rolled_back_counts_nothing(database_url: str, index) -> None:
    put(database_url, chance().events(100))
    log = await everything(database_url)
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        await AuditIndexer().handle_stretch(Stretch(0, log[-1].position, len(log)), connection)
    assert run(database_url, "SELECT * FROM audit_daily_counts") == []


@pytest.mark.parametrize("at_once", [1_000_000, 60])
async def test_entries_from_before_the_counts_are_counted_part_by_part_and_are_in_each_answer(
    database_url: str, index, at_once: int
) -> None:
    # Given an index that was made before there were counts
    chosen = chance()
    put(database_url, chosen.events(400))
    await take_in(database_url)
    run(database_url, "DELETE FROM audit_daily_counts")
    run(database_url, "UPDATE audit_uncounted SET after = 0, up_to = (SELECT position FROM followers)")

    async def counts_all() -> bool:
        log = await everything(database_url)
        wanted = [AuditFilter(), *(any_filter(chosen) for _ in range(10))]
        assert wrong_counts(database_url) == []
        for one in wanted:
            assert await asked(index, "org_math", one) == by_day(log, "org_math", one)
        return run(database_url, "SELECT after >= up_to FROM audit_uncounted")[0][0]

    assert not await counts_all()
    # when parts of it are counted, the index is set back into the middle of what isn't, and it goes on
    run(database_url, "SELECT count_entries(%s)", at_once)
    await counts_all()
    await set_back(database_url, 250)
    assert wrong_counts(database_url) == []
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT index_events(250, 300)")
        await connection.execute("SELECT index_events(300, (SELECT max(notification_id) FROM preferences_events))")
        await connection.execute(
            "UPDATE followers SET position = (SELECT max(notification_id) FROM preferences_events)"
        )
    await counts_all()
    put(database_url, chosen.events(20))
    await take_in(database_url)
    # then all of it is counted in the end, and at no moment more or less than the log has.
    assert await counts_all()
    await set_back(database_url, 0)
    await take_in(database_url)
    assert await counts_all()


async def test_an_index_that_was_set_back_is_known(database_url: str, index) -> None:
    put(database_url, chance().events(100))
    await take_in(database_url)
    reached, _ = await index.complete_until()
    await set_back(database_url, 0)
    with pytest.raises(Unavailable) as refused:
        await index.by_day("org_math", AuditFilter(), NOON, LATER, at_least=reached)
    assert refused.value.reason == f"the index of the audit log was set back from position {reached} to 0"


async def test_a_count_without_an_event_is_known(database_url: str, index) -> None:
    put(database_url, [toggled(2, "product_updates", True), toggled(3, "product_updates", False)])
    await take_in(database_url)
    run(database_url, "DELETE FROM preferences_events WHERE notification_id = 2")
    with pytest.raises(BrokenStream, match="no event at position 2"):
        await index.by_day("org_math", AuditFilter(), BEGINNING, LATER, at_least=0)
    # and one whose entries are gone has no event to show.
    run(database_url, "ALTER TABLE audit_entries DISABLE TRIGGER USER")
    run(database_url, "DELETE FROM audit_entries WHERE position = 2")
    found = await index.by_day("org_math", AuditFilter(), BEGINNING, LATER, at_least=0)
    assert {(one.enabled, one.oldest, one.newest) for one in found.classes} == {(True, 1, 1), (False, None, None)}


def test_whole_days_are_told_from_cut_ones() -> None:
    def at(day: int, hour: int = 0, **more: int) -> datetime:
        return datetime(2026, 3, day, hour, tzinfo=UTC, **more)

    for since, until, first, end, cut_before, cut_after in (
        (at(3), at(5), 3, 5, at(3), at(5)),
        (at(3, microsecond=1), at(5), 4, 5, at(4), at(5)),
        (at(3), at(5, 1), 3, 5, at(3), at(5)),
        (at(3, 1), at(5, 1), 4, 5, at(4), at(5)),
        (at(3, 1), at(4, 1), 4, 4, at(4), at(4)),
        (at(3, 1), at(3, 2), 3, 3, at(3, 2), at(3, 2)),
        (at(3), at(3), 3, 3, at(3), at(3)),
    ):
        assert parts(since, until) == (date(2026, 3, first), date(2026, 3, end), cut_before, cut_after)
    parts(datetime(9999, 12, 31, 23, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
