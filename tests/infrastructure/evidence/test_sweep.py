"""The sweep on a real log: what it says of altered things, that it goes on where it stood, and that nothing else makes it speak."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from ulid_transform import ulid_now

from application.erasure import Erasure
from application.evidence.sweep import Finding, Subject
from application.preferences.preferences import Preferences
from application.preferences.state import Change
from application.rebuild import Rebuild
from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from domain.provenance import Actor, Provenance, Source
from infrastructure.audit.index import AuditIndexer
from infrastructure.erasure.erasure import PostgresErasures
from infrastructure.evidence.sweep.index_leg import IndexLeg
from infrastructure.evidence.sweep.index_repair import compare_index
from infrastructure.evidence.sweep.journal import sweep_status
from infrastructure.evidence.sweep.leg import Leg, check, sweeping
from infrastructure.evidence.sweep.log_leg import LogLeg
from infrastructure.evidence.sweep.stream_leg import StreamLeg
from infrastructure.evidence.sweep.sweeper import Sweeper, sweep_at_once, take
from infrastructure.followers.register import FollowerRegister
from infrastructure.log.sealing import new_key
from infrastructure.preferences.event_store import PostgresPreferencesStore
from infrastructure.preferences.shadow_table import ShadowTable
from tests.support.events import NOON
from tests.support.evidence import Evidence
from tests.support.filled_log import Chance, put, take_in
from tests.support.patient_database import patient_database
from tests.support.soak import rounds, soak

EVENTS = 700
SECONDS = rounds(2, 60)
ROUNDS = rounds(2, 12)
"""Of alterations, each of every kind: in turns with steps that are small, and with one that is as large as the log."""
USERS = tuple(f"user_{number}" for number in range(10))


def changed(user: str, on: bool) -> Change:
    actor: Actor = {"user": user, "session": f"sess_{user}"}
    provenance = Provenance(actor, "org_math", Source.DASHBOARD, ulid_now(), datetime.now(UTC), CATALOGUE.version)
    choices = dict.fromkeys([path for path in CATALOGUE.defaults if path != "email.billing_receipts"], on)
    return Change(stream_id("org_math", user), choices, provenance)


def project(url: str) -> None:
    """The current preferences of a log that no service wrote, and the keys of those who were erased gone."""
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM current_preferences")
        connection.execute(
            "INSERT INTO current_preferences (originator_id, version, position, modified_at, choices) "
            "SELECT originator_id, version, position, modified_at, choices "
            "FROM fold_preferences(0, (SELECT max(notification_id) FROM preferences_events))"
        )
        # As if each key were the one since the last erasure, of which there are several in a stream here.
        connection.execute(
            "UPDATE person_keys k SET since_version = 1 + (SELECT coalesce(max(originator_version), 0) "
            "FROM preferences_events e WHERE e.originator_id = k.originator_id AND topic LIKE '%.erased')"
        )
        connection.execute(
            "DELETE FROM person_keys k WHERE NOT EXISTS (SELECT FROM preferences_events e "
            "WHERE e.originator_id = k.originator_id AND originator_version >= since_version)"
        )


@pytest.fixture
async def evidence(database_url: str, tmp_path: Path) -> Evidence:
    """A log of several users and organizations, with all that is made of it, signed at several places."""
    evidence = Evidence(database_url, tmp_path)
    put(database_url, Chance(1).events(EVENTS))
    project(database_url)
    await take_in(database_url)
    evidence.checkpoint(100)
    return evidence


def legs(evidence: Evidence) -> list[Leg]:
    return [LogLeg(evidence.file, evidence.reader, evidence.origin), IndexLeg(), StreamLeg()]


def found(evidence: Evidence) -> set[tuple[str, str]]:
    return {(finding.subject, finding.place) for leg in legs(evidence) for finding in check(evidence.url, leg)}


def run(url: str, statement: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


async def test_an_untouched_database_is_good(evidence: Evidence) -> None:
    assert found(evidence) == set()


async def test_a_fold_by_streams_says_what_the_fold_by_positions_says(evidence: Evidence) -> None:
    sum_of = "SELECT count(*), sum(hash_record_extended((originator_id, since, version, events, position, modified_at, choices), 1)) FROM "
    [by_position] = run(evidence.url, sum_of + "fold_preferences(0, 1000000) f")
    [by_stream] = run(evidence.url, sum_of + "fold_streams(%s, %s) f", UUID(int=0), UUID(int=2**128 - 1))
    assert by_position == by_stream
    assert by_position[0] > 5
    # Control: a sum tells when one choice is another.
    run(evidence.url, "UPDATE preferences_events SET state = convert_to(replace(convert_from(state, 'UTF8'), "
        "'\"enabled\":true', '\"enabled\":false'), 'UTF8')")  # fmt: skip
    assert run(evidence.url, sum_of + "fold_preferences(0, 1000000) f") != [by_position]


async def test_a_pass_that_began_in_the_future_is_begun_anew(evidence: Evidence) -> None:
    # Given a pass that is under way, and two that are complete, of a database whose clock was three days ahead and is right again
    under_way, *complete = legs(evidence)
    with sweeping(evidence.url) as connection:
        assert take(connection, under_way, 100)
    for leg in complete:
        sweep_at_once(evidence.url, leg)
    ahead = "UPDATE sweep SET began_at = began_at + interval '3 days', completed_at = completed_at + interval '3 days'"
    run(evidence.url, ahead)
    before = dict(run(evidence.url, "SELECT leg, pass FROM sweep"))
    # when the sweep goes on,
    sweeper = Sweeper(evidence.url, legs(evidence), within=3600)
    for _ in range(2 * len(legs(evidence))):
        sweeper.step()
    sweeper.close()
    # then each leg has made a whole pass, which began now, and the sweep rests.
    dated = "began_at < clock_timestamp() AND completed_at BETWEEN began_at AND clock_timestamp()"
    passes = run(evidence.url, f"SELECT leg, pass FROM sweep WHERE {dated}")
    assert dict(passes) == {leg: number + 1 for leg, number in before.items()}


ALTERATIONS: dict[str, tuple[str, Subject]] = {
    "event": (
(
        "UPDATE preferences_events SET state = set_bit(state, %(bit)s %% (length(state) * 8), "
        "1 - get_bit(state, %(bit)s %% (length(state) * 8))) WHERE notification_id = %(position)s "
        "RETURNING 'position ' || notification_id"),
        Subject.EVENT,
    ),
    "event gone": (
        "DELETE FROM preferences_events WHERE notification_id = %(position)s RETURNING 'position ' || notification_id",
        Subject.EVENT,
    ),
    "choice": (
(
        "UPDATE current_preferences SET choices = choices || jsonb_build_object('email.product_updates', "
        "NOT coalesce((choices ->> 'email.product_updates')::boolean, false)) WHERE originator_id = %(stream)s "
        "RETURNING 'stream ' || originator_id"),
        Subject.READ_MODEL,
    ),
    "version": (
(
        "UPDATE current_preferences SET version = version + 1 WHERE originator_id = %(stream)s "
        "RETURNING 'stream ' || originator_id"),
        Subject.READ_MODEL,
    ),
    "row gone": (
        "DELETE FROM current_preferences WHERE originator_id = %(stream)s RETURNING 'stream ' || originator_id",
        Subject.READ_MODEL,
    ),
    "row moved": (
(
        "UPDATE current_preferences SET originator_id = gen_random_uuid() WHERE originator_id = %(stream)s "
        "RETURNING 'stream ' || originator_id"),
        Subject.READ_MODEL,
    ),
    "key": (
(
        "UPDATE person_keys SET key = set_bit(key, %(bit)s %% 256, 1 - get_bit(key, %(bit)s %% 256)) "
        "WHERE originator_id = %(keyed)s RETURNING 'stream ' || originator_id"),
        Subject.KEY,
    ),
    "since_version": (
(
        "UPDATE person_keys SET since_version = since_version + 1 + %(bit)s %% 9 WHERE originator_id = %(keyed)s "
        "RETURNING 'stream ' || originator_id"),
        Subject.KEY,
    ),
    "key gone": (
        "DELETE FROM person_keys WHERE originator_id = %(keyed)s RETURNING 'stream ' || originator_id",
        Subject.KEY,
    ),
    "entry gone": (
        "DELETE FROM audit_entries WHERE position = %(entry)s RETURNING 'position ' || position",
        Subject.AUDIT_INDEX,
    ),
    "entry's place": (
        "UPDATE audit_entries SET position = position + 1000000 WHERE position = %(entry)s RETURNING 'position ' || position",
        Subject.AUDIT_INDEX,
    ),
    "entry's class": (
(
        "UPDATE audit_entries e SET class = (SELECT class FROM audit_classes c WHERE c.class <> e.class ORDER BY random() LIMIT 1) "
        "WHERE position = %(entry)s RETURNING 'position ' || position"),
        Subject.AUDIT_INDEX,
    ),
    "entry's stream": (
        "UPDATE audit_entries SET originator_id = gen_random_uuid() WHERE position = %(entry)s RETURNING 'position ' || position",
        Subject.AUDIT_INDEX,
    ),
    "tile": (
(
        "UPDATE log_tiles SET hashes = set_byte(hashes, %(bit)s %% length(hashes), "
        "255 - get_byte(hashes, %(bit)s %% length(hashes))) WHERE level = 0 AND index = %(bit)s %% 3 RETURNING NULL"),
        Subject.TILE,
    ),
    "follower": ("UPDATE followers SET position = position + 1 + %(bit)s RETURNING 'follower ' || name", Subject.FOLLOWER),
}  # fmt: skip


def seen(connection: Any, evidence: Evidence, limit: int) -> set[tuple[str, str]]:
    """What a pass of all legs finds as a transaction sees it that is not over, in steps of so many events."""
    found = set()
    for leg in legs(evidence):
        state, more = None, True
        while more:
            with leg.ready() as look:
                leg.hold(connection)
                taken = look(connection, state, limit)
            found |= {(finding.subject, finding.place) for finding in taken.findings}
            # Between two steps nothing is kept but what can be written down.
            state, more = orjson.loads(orjson.dumps(taken.state)), taken.state is not None
    return found


@soak
async def test_whatever_is_altered_anywhere_is_found_with_its_place_at_once_and_step_by_step(
    evidence: Evidence,
) -> None:
    chance = random.Random(0)
    positions, streams, keyed, entries = (
        [row[0] for row in run(evidence.url, query)]
        for query in (
            "SELECT notification_id FROM preferences_events WHERE originator_version > 1 ORDER BY 1",
            "SELECT originator_id FROM current_preferences ORDER BY 1",
            "SELECT originator_id FROM person_keys ORDER BY 1",
            "SELECT position FROM audit_entries ORDER BY 1",
        )
    )
    with psycopg.connect(evidence.url, cursor_factory=psycopg.ClientCursor) as connection:
        for number, (name, (statement, subject)) in enumerate(list(ALTERATIONS.items()) * ROUNDS):
            place = {
                "position": chance.choice(positions[:-1]),
                "bit": chance.randrange(10**6),
                "stream": chance.choice(streams),
                "keyed": chance.choice(keyed),
                "entry": chance.choice(entries),
            }
            [(named,)] = connection.execute(statement, place).fetchall()
            found = seen(connection, evidence, (256, 10**6)[number // len(ALTERATIONS) % 2])
            connection.rollback()
            if name == "tile":
                assert {what for what, _ in found} == {Subject.TILE}, (name, place, found)
            else:
                assert (subject, named) in found, (name, place, found)
        # Control: where nothing is altered, nothing is found.
        assert seen(connection, evidence, 256) == set()
        connection.rollback()


@pytest.mark.parametrize("limit", [40, 10**6])
async def test_two_halves_of_the_streams_find_together_what_the_whole_finds(evidence: Evidence, limit: int) -> None:
    with psycopg.connect(evidence.url) as connection:
        # given: a row without events in each half, and at both sides of the border between them
        for number in (0, 2**127 - 1, 2**127, 2**128 - 1):
            connection.execute("INSERT INTO current_preferences VALUES (%s, 2, 5, now(), '{}')", [UUID(int=number)])
        # keys that don't fit, few enough that each of them is named
        connection.execute(
            "UPDATE person_keys SET key = sha256(key) WHERE originator_id IN (SELECT originator_id FROM person_keys ORDER BY 1 LIMIT 5)"
        )
        # an event that nothing can be made of
        [(unreadable,)] = connection.execute(
            "UPDATE preferences_events SET state = '\\xff' WHERE notification_id = "
            "(SELECT min(notification_id) FROM preferences_events WHERE originator_version > 1) RETURNING originator_id"
        ).fetchall()
    # when
    whole = passed(evidence.url, StreamLeg(), limit)
    first, second = (passed(evidence.url, half, limit) for half in StreamLeg.halves())
    # then
    assert sorted(first + second) == sorted(whole)
    assert (Subject.EVENT, f"stream {unreadable}") in {(finding.subject, finding.place) for finding in whole}
    for half, ends in ((first, (0, 2**127 - 1)), (second, (2**127, 2**128 - 1))):
        assert {f"stream {UUID(int=number)}" for number in ends} <= {finding.place for finding in half}
    # Control: neither finds it alone.
    assert len(first) < len(whole) > len(second)


@pytest.mark.parametrize("limit", [40, 10**6])
async def test_entries_beside_an_event_that_cannot_be_read_are_compared(evidence: Evidence, limit: int) -> None:
    # Given an unreadable event, and on both sides of it an entry that the index lacks
    [(before,), (unreadable,), (after,)] = run(
        evidence.url,
        "SELECT position FROM audit_entries WHERE position > 100 "
        "AND EXISTS (SELECT FROM preferences_events WHERE notification_id = position) ORDER BY 1 LIMIT 3",
    )
    run(evidence.url, "DELETE FROM audit_entries WHERE position = ANY (%s)", [before, after])
    run(evidence.url, "UPDATE preferences_events SET state = '\\xff' WHERE notification_id = %s", unreadable)
    # then all three are named, and nothing else is.
    found = {(finding.subject, finding.place) for finding in passed(evidence.url, IndexLeg(), limit)}
    assert found == {
        (Subject.AUDIT_INDEX, f"position {before}"),
        (Subject.EVENT, f"position {unreadable}"),
        (Subject.AUDIT_INDEX, f"position {after}"),
    }


def passed(url: str, leg: Leg, limit: int) -> list[Finding]:
    """What a pass of a leg finds, in steps of so many events; without the sentences that count what one step has no room for."""
    found: list[Finding] = []
    with sweeping(url) as connection:
        state, more = None, True
        while more:
            with leg.ready() as look, connection.transaction():
                leg.hold(connection)
                taken = look(connection, state, limit)
            found += taken.findings
            state, more = taken.state, taken.state is not None
    return [finding for finding in found if "more findings" not in finding.sentence]


async def test_a_repaired_index_is_what_the_log_says_and_only_what_differs_is_made_anew(evidence: Evidence) -> None:
    url = evidence.url
    assert compare_index(url, repair=False).differing == 0
    before = run(url, "SELECT position, occurred_at, originator_id, class FROM audit_entries ORDER BY 1")
    run(url, "DELETE FROM audit_entries WHERE position IN (100, 101)")
    run(url, "INSERT INTO audit_entries VALUES (5000000, now(), gen_random_uuid(), 1)")
    named = {row[0] for row in before} & {100, 101}
    # when it is only compared
    told = compare_index(url, repair=False)
    assert told.differing == len(named) + 1
    assert any("position 5000000" in sentence for sentence in told.named)
    assert compare_index(url, repair=False).differing == told.differing
    # when it is repaired
    assert compare_index(url, repair=True).differing == told.differing
    assert compare_index(url, repair=False).differing == 0
    assert run(url, "SELECT position, occurred_at, originator_id, class FROM audit_entries ORDER BY 1") == before


async def test_a_pass_goes_on_where_another_process_was_killed_and_says_what_it_found_once(evidence: Evidence) -> None:
    [log, index, streams] = legs(evidence)
    run(evidence.url, "DELETE FROM audit_entries WHERE position IN (SELECT min(position) FROM audit_entries)")
    with sweeping(evidence.url) as connection:
        for leg in (log, index, streams):
            assert take(connection, leg, 256)
        connection.execute("SELECT 1")
    async with patient_database(evidence.url, size=1) as database:
        first = await sweep_status(database)
        assert {leg.number for leg in first.legs} == {1}
        assert all(leg.under_way and 0 < leg.events < EVENTS for leg in first.legs)
        assert [one.finding.subject for one in first.findings] == [Subject.AUDIT_INDEX]
        # when the connection of the one who took the steps is gone, and another one goes on
        with sweeping(evidence.url) as connection:
            for leg in (log, index, streams):
                while take(connection, leg, 256):
                    pass
        second = await sweep_status(database)
    assert {leg.number for leg in second.legs} == {1}
    assert all(leg.complete for leg in second.legs)
    assert {leg.leg: leg.events for leg in second.legs} == {"log": EVENTS, "audit-index": EVENTS, "streams": EVENTS}
    assert second.findings == first.findings


async def test_what_a_whole_pass_no_longer_finds_is_mended(evidence: Evidence) -> None:
    [(first,)] = run(evidence.url, "SELECT min(position) FROM audit_entries")
    run(evidence.url, "UPDATE audit_entries SET originator_id = gen_random_uuid() WHERE position = %s", first)
    async with patient_database(evidence.url, size=1) as database:
        sweep_at_once(evidence.url, IndexLeg())
        [one] = (await sweep_status(database)).findings
        assert one.finding.place == f"position {first}"
        compare_index(evidence.url, repair=True)
        sweep_at_once(evidence.url, IndexLeg())
        assert (await sweep_status(database)).findings == []
    [(mended,)] = run(evidence.url, "SELECT count(*) FROM sweep_findings WHERE mended_at IS NOT NULL")
    assert mended == 1


@pytest.fixture
async def stop() -> AsyncIterator[threading.Event]:
    """Set in the end also where the test fails: a thread that went on would be waited for, for ever."""
    stop = threading.Event()
    yield stop
    stop.set()


@soak
async def test_nothing_that_the_service_does_meanwhile_is_a_finding(
    database_url: str, tmp_path: Path, stop: threading.Event
) -> None:
    evidence = Evidence(database_url, tmp_path)
    passes: list[int] = []

    def sweep() -> list[Finding]:
        seen: list[Finding] = []
        while not stop.is_set():
            for leg in legs(evidence):
                seen += check(database_url, leg)
            with sweeping(database_url) as connection:
                for leg in legs(evidence):
                    take(connection, leg, 64 * 256)
            passes.append(1)
        return seen

    async with patient_database(database_url, size=4) as database:
        sweeping_thread = asyncio.create_task(asyncio.to_thread(sweep))
        preferences = Preferences(PostgresPreferencesStore(database), iter(ulid_now, None), new_key)
        register = FollowerRegister(database, lambda: NOON)
        erasure = Erasure(PostgresErasures(database), CATALOGUE, iter(ulid_now, None), lambda: datetime.now(UTC))
        deadline = time.monotonic() + SECONDS
        number = 0
        while not sweeping_thread.done() and (time.monotonic() < deadline or number < 5 or len(passes) < 3):
            number += 1
            # Those who change their preferences, and come back after they were erased.
            await asyncio.gather(*(preferences.change(changed(user, number % 2 == 0)) for user in USERS * 4))
            await asyncio.gather(take_in(database_url), asyncio.to_thread(evidence.checkpoint, 100))
            match number % 4:
                case 0:
                    await register.reset(AuditIndexer(), 0)
                case 1:
                    async with ShadowTable.open(database_url) as shadow:
                        await Rebuild(shadow, lambda _done, _about: None).run(swap=True)
                case 2:
                    for user in USERS:
                        await erasure.erase("org_math", user)
                case _:
                    [(end,)] = run(database_url, "SELECT max(position) FROM followers")
                    await register.reset(AuditIndexer(), end // 2)
        await preferences.close()
        stop.set()
        seen = await sweeping_thread
        assert seen == []
        assert (await sweep_status(database)).findings == []
    assert number > 4
    assert len(passes) > 2
    # Control: the same sweep sees one row that is another.
    run(
        database_url,
        "UPDATE current_preferences SET modified_at = now() WHERE position = (SELECT max(position) FROM current_preferences)",
    )
    assert [finding.subject for finding in check(database_url, StreamLeg())] == [Subject.READ_MODEL]
