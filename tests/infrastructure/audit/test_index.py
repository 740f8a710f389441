"""The index of the audit log on a real PostgreSQL: it finds what a naive filter finds, whatever is asked for."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import orjson
import psycopg
import pytest

from application.audit.filter import AuditFilter
from application.followers import FollowerState, Stretch
from application.following import Following, Step
from application.log import BrokenStream, Recorded
from domain.errors import Unavailable
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.audit.index import AuditIndexer
from infrastructure.audit.log import PostgresAuditLog
from infrastructure.followers.journal import PostgresJournal
from infrastructure.log.event_codec import encode
from infrastructure.log.event_log import read_after
from infrastructure.postgres.read_database import ReadDatabase
from projections.audit_log import Action
from projections.shown_actor import ActorKind
from tests.support import audit_index
from tests.support.audit import newest_first, place
from tests.support.events import NOON, catalogue_published, toggled
from tests.support.filled_log import ORGANIZATIONS, TOGGLES, USERS, Chance, put, take_in
from tests.support.patient_database import patient_database
from tests.support.soak import rounds, soak

SEED = 20260303
FILTERS = rounds(60, 600)
"""Random ones, beside each single one."""


@pytest.fixture
async def audit_log(database_url: str) -> AsyncIterator[PostgresAuditLog]:
    async with patient_database(database_url) as database:
        yield PostgresAuditLog(ReadDatabase(database))


async def everything(url: str) -> list[Recorded]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await read_after(connection, 0, 1_000_000)


def rows(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def any_filter(chance: Chance) -> AuditFilter:
    def maybe(values: Any) -> Any:
        return chance.random.choice([*values, None, None])

    organization, user = chance.random.choice(ORGANIZATIONS), maybe(USERS)
    since, until = (
        maybe([NOON + timedelta(seconds=second) for second in (0, 1, 20, 59, 60)]),
        maybe([NOON + timedelta(seconds=second) for second in (0, 1, 40, 59, 60)]),
    )
    return AuditFilter(
        action=maybe(Action),
        stream=stream_id(organization, user) if user else None,
        actor_kind=maybe(ActorKind),
        channel=maybe(["email"]),
        toggle=maybe(TOGGLES),
        enabled=maybe([True, False]),
        source=maybe(Source),
        since=since,
        until=until,
    )


SINGLE_FILTERS = [
    AuditFilter(),
    *(AuditFilter(action=action) for action in Action),
    *(AuditFilter(stream=stream_id(organization, user)) for organization in ORGANIZATIONS for user in USERS),
    *(AuditFilter(actor_kind=kind) for kind in ActorKind),
    *(AuditFilter(channel=channel) for channel in ("email", "pigeon")),
    *(AuditFilter(toggle=toggle) for toggle in TOGGLES),
    *(AuditFilter(enabled=enabled) for enabled in (True, False)),
    *(AuditFilter(source=source) for source in Source),
    *(AuditFilter(since=NOON + timedelta(seconds=second)) for second in (0, 30, 59, 60)),
    *(AuditFilter(until=NOON + timedelta(seconds=second)) for second in (0, 30, 59, 60)),
]


@soak
async def test_it_finds_exactly_what_fits_newest_first(database_url: str, audit_log) -> None:
    chance = Chance(SEED)
    put(database_url, [catalogue_published(), *chance.events(600)])
    await take_in(database_url, batch=97)
    log = await everything(database_url)
    sizes = set()
    for wanted in [*SINGLE_FILTERS, *(any_filter(chance) for _ in range(FILTERS))]:
        for organization in ("org_math", "org_chess", "org_of_nobody"):
            expected = newest_first(log, organization, wanted)
            sizes.add(len(expected))
            assert await audit_log.newest(organization, wanted, before=None, limit=1000) == expected, wanted
            assert await audit_log.newest(organization, wanted, before=None, limit=5) == expected[:5], wanted
            assert await audit_log.count(organization, wanted) == len(expected), wanted
            if expected:
                middle = chance.random.choice(expected)
                behind = newest_first(log, organization, wanted, place(middle))
                assert await audit_log.newest(organization, wanted, before=place(middle), limit=1000) == behind
    assert len(sizes) > 30


async def test_nobody_finds_what_is_another_organizations(database_url: str, audit_log) -> None:
    put(database_url, Chance(SEED).events(200))
    await take_in(database_url)
    for organization, other in (("org_math", "org_chess"), ("org_chess", "org_math")):
        everything_there = await audit_log.newest(organization, AuditFilter(), before=None, limit=1000)
        assert everything_there
        assert {recorded.event.organization for recorded in everything_there} == {organization}
        for user in USERS:
            for owner in (other, None):
                wanted = AuditFilter(stream=stream_id(owner, user))
                assert await audit_log.newest(organization, wanted, before=None, limit=1000) == []


async def test_a_batch_that_fails_leaves_nothing_behind_and_no_class_that_isnt_there(database_url: str) -> None:
    put(database_url, Chance(SEED).events(50))
    log = await everything(database_url)
    follower = AuditIndexer()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        async with connection.transaction(force_rollback=True):
            await follower.handle_stretch(Stretch(0, log[-1].position, len(log)), connection)
        assert rows(database_url, "SELECT * FROM audit_entries") == []
    await take_in(database_url, follower, batch=10)
    indexed = rows(
        database_url,
        "SELECT position, organization, action FROM audit_entries JOIN audit_classes USING (class) ORDER BY position",
    )
    expected = [(position, event.organization) for position, event in log if event.organization is not None]
    assert [(position, organization) for position, organization, _ in indexed] == expected
    assert {action for *_, action in indexed} == {*Action, "notification_preferences.open"}


DAMAGES: dict[str, Callable[[str, bytes], tuple[str, bytes]]] = {
    "an unknown type": lambda _, state: ("notification-preferences.of-the-future", state),
    "not UTF-8": lambda topic, state: (topic, state.replace(b"dashboard", b"dash\xff")),
    "not JSON": lambda topic, state: (topic, state.removesuffix(b"}")),
    "not JSON before its id": lambda topic, state: (topic, state.replace(b'"event_id"', b'1,"event_id"')),
    "no object": lambda topic, state: (topic, b"[" + state + b"]"),
    "nothing": lambda topic, _: (topic, b"{}"),
    "without a time": lambda topic, state: (topic, state.replace(b'"_data_"', b'"_date_"')),
    "a time that is none": lambda topic, state: (
        topic,
        state.replace(b'"_data_":"2026-03-03', b'"_data_":"2026-13-03'),
    ),
    "a choice of nothing": lambda topic, state: (topic, state.replace(b'"toggle"', b'"toggled"')),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_an_event_that_is_damaged_stops_the_index_there_and_nowhere_else(
    database_url: str, damage: Callable[[str, bytes], tuple[str, bytes]]
) -> None:
    def alter(topic: str, state: bytes) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "UPDATE preferences_events SET topic = %s, state = %s WHERE notification_id = %s", [topic, state, bad]
            )

    # Given a log with a damaged choice in it
    chance = Chance(SEED)
    choice = toggled(2, "news", True, stream_id("org_math", "user_zoe"), organization="org_math")
    put(database_url, [*chance.events(60), choice, *chance.events(20)])
    log = await everything(database_url)
    bad = log[60].position
    [whole] = rows(database_url, f"SELECT topic, state FROM preferences_events WHERE notification_id = {bad}")
    alter(*damage(*whole))
    # when the index follows the log, then it stops there, and has all that is before.
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        journal = PostgresJournal(connection, AuditIndexer.name)
        await journal.register()
        following = Following(AuditIndexer(), journal, largest=16)
        while (step := await following.step()) is Step.ON:
            pass
        assert step is Step.HELD
        assert await journal.state() == FollowerState(log[59].position, paused=False, failed_position=bad)
    indexed = [position for (position,) in rows(database_url, "SELECT position FROM audit_entries ORDER BY position")]
    assert indexed == [position for position, event in log[:60] if event.organization is not None]
    # Once the event is whole again, it goes on.
    alter(*whole)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE followers SET failed_position = NULL, failure = NULL")
    await take_in(database_url)
    assert audit_index.differences(database_url) == []


async def test_set_back_it_makes_the_same_of_the_log_again(database_url: str) -> None:
    put(database_url, Chance(SEED).events(80))
    await take_in(database_url)
    everything_found = "SELECT * FROM audit_entries ORDER BY position"
    before = rows(database_url, everything_found)
    for position in (before[40][0], 0):
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await AuditIndexer().reset(position, connection)
            await connection.execute("UPDATE followers SET position = %s", [position])
        assert rows(database_url, everything_found) == [row for row in before if row[0] <= position]
        await take_in(database_url)
        assert rows(database_url, everything_found) == before


async def test_it_says_how_far_it_is_complete(database_url: str, audit_log) -> None:
    async def read(clock: Callable[[], Any] = lambda: rows(database_url, "SELECT clock_timestamp()")[0][0]) -> Any:
        before = clock()
        return before, (await audit_log.complete_until()).complete_until, clock()

    assert (await audit_log.complete_until()).complete_until is None
    put(database_url, [toggled(2, "news", True)])
    assert (await audit_log.complete_until()).complete_until is None, "nothing was taken in"
    await take_in(database_url)
    before, complete_until, after = await read()
    assert before <= complete_until <= after, "all that is recorded was taken in"
    put(database_url, [toggled(3, "news", False)])
    assert (await audit_log.complete_until()).complete_until == NOON + timedelta(minutes=2), (
        "the last one that was taken in"
    )
    await take_in(database_url)
    before, complete_until, after = await read()
    assert before <= complete_until <= after


async def test_entries_that_come_while_pages_are_read_neither_hide_nor_repeat_any(database_url: str, audit_log) -> None:
    chance = Chance(SEED)
    put(database_url, chance.events(200))
    await take_in(database_url)
    there = newest_first(await everything(database_url), "org_math", AuditFilter())
    seen: list[Recorded] = []
    while page := await audit_log.newest("org_math", AuditFilter(), before=place(seen[-1]) if seen else None, limit=7):
        seen += page
        put(database_url, chance.events(5))
        await take_in(database_url)
    assert len(seen) == len(set(map(place, seen)))
    assert [recorded for recorded in seen if recorded in there] == there


@pytest.mark.parametrize("wanted", [AuditFilter(), AuditFilter(stream=stream_id("org_math", "user_ada"))], ids=str)
async def test_an_event_that_is_missing_is_named_and_never_passed_over(
    database_url: str, audit_log, wanted: AuditFilter
) -> None:
    put(database_url, Chance(SEED).events(200))
    await take_in(database_url)
    found = await audit_log.newest("org_math", wanted, before=None, limit=10)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM preferences_events WHERE notification_id = %s", [found[5].position])
    with pytest.raises(BrokenStream, match=rf"no event at position {found[5].position}\b"):
        await audit_log.newest("org_math", wanted, before=None, limit=10)
    assert await audit_log.newest("org_math", wanted, before=None, limit=5) == found[:5]


@pytest.mark.parametrize("wanted", [AuditFilter(), AuditFilter(stream=stream_id("org_math", "user_ada"))], ids=str)
async def test_an_index_that_was_set_back_is_known_also_where_nothing_is_left_of_it(
    database_url: str, audit_log, wanted: AuditFilter
) -> None:
    put(database_url, Chance(SEED).events(200))
    await take_in(database_url)
    reached, _ = await audit_log.complete_until()
    assert await audit_log.newest("org_math", wanted, before=None, limit=10, at_least=reached)
    for position in (reached - 1, 0):
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await AuditIndexer().reset(position, connection)
            await connection.execute("UPDATE followers SET position = %s", [position])
        with pytest.raises(Unavailable) as refused:
            await audit_log.newest("org_math", wanted, before=None, limit=10, at_least=reached)
        assert refused.value.reason == f"the index of the audit log was set back from position {reached} to {position}"
    assert await audit_log.newest("org_math", wanted, before=None, limit=10) == []


@pytest.mark.parametrize(
    "writing", [orjson.dumps, lambda state: json.dumps(state, indent=1).encode()], ids=["ours", "others'"]
)
async def test_a_clock_that_is_ahead_makes_no_promise_for_what_is_missing(
    database_url: str, audit_log, writing
) -> None:
    # Given an event of a writer whose clock is five minutes ahead, taken in, and one of another writer that isn't yet
    [(now,)] = rows(database_url, "SELECT clock_timestamp()")
    put(database_url, [toggled(2, "news", True, timestamp=now + timedelta(minutes=5))])
    await take_in(database_url)
    missing = encode(toggled(3, "news", False, timestamp=now - timedelta(seconds=1, microseconds=now.microsecond)))
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
            [*missing[:3], writing(orjson.loads(missing.state))],
        )
    put(database_url, [toggled(4, "news", True, timestamp=now)])
    # when it is asked how far it is complete, then that is not later than what is missing
    assert (await audit_log.complete_until()).complete_until == now - timedelta(seconds=1, microseconds=now.microsecond)
    # and where nothing is missing, it is the database's time, and not the clock's that is ahead.
    await take_in(database_url)
    _, complete_until = await audit_log.complete_until()
    assert complete_until is not None
    assert now <= complete_until <= rows(database_url, "SELECT clock_timestamp()")[0][0]


async def test_with_nothing_but_clocks_that_are_ahead_it_is_complete_until_now_at_the_most(
    database_url: str, audit_log
) -> None:
    [(now,)] = rows(database_url, "SELECT clock_timestamp()")
    put(database_url, [toggled(2, "news", True, timestamp=now + timedelta(minutes=5))])
    await take_in(database_url)
    put(database_url, [toggled(3, "news", False, timestamp=now + timedelta(minutes=6))])
    _, complete_until = await audit_log.complete_until()
    assert complete_until is not None
    assert now <= complete_until <= rows(database_url, "SELECT clock_timestamp()")[0][0]


async def test_an_event_whose_time_can_t_be_read_takes_the_audit_log_from_nobody(database_url: str, audit_log) -> None:
    put(database_url, [toggled(2, "news", True)])
    await take_in(database_url)
    with psycopg.connect(database_url) as connection:
        for version, state in ((3, b"\xff\x00 no text"), (4, b'{"timestamp":{"_data_":"yesterday"}}')):
            connection.execute(
                "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
                [stream_id("org_math", "user_ada"), version, "notification-preferences.toggled", state],
            )
    assert (await audit_log.complete_until()).complete_until == NOON + timedelta(minutes=2)
