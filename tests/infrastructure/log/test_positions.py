"""No position is given twice, whatever the sequence says and on whatever server the log goes on."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import errors

from application.preferences.store import Append
from domain.catalogue import CATALOGUE
from domain.continued_log import STREAM
from domain.errors import Unavailable
from domain.events import LogContinued
from infrastructure.followers.register import FollowerRegister
from infrastructure.log.continuation import continuation_summary, continue_where_moved
from infrastructure.log.event_codec import decode
from infrastructure.log.sequence import behind, set_forward
from infrastructure.preferences.event_store import PostgresPreferencesStore
from tests.support.catalogues import publish
from tests.support.events import ADA, opened, row_after, toggled
from tests.support.eventsourcing_program import write_as_library
from tests.support.ledger import record
from tests.support.patient_database import patient_database
from tests.support.positions import execute, leave_sequence_behind, log_of, move_elsewhere, positions_as_before

BILLION = 1_000_000_000


def continuations(url: str) -> list[tuple[int, LogContinued]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM preferences_events "
            "WHERE originator_id = %s ORDER BY originator_version",
            [STREAM],
        ).fetchall()
    return [(position, decode(*stored)) for position, *stored in rows]


def sequence(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(last,)] = connection.execute("SELECT last_value FROM preferences_events_notification_id_seq").fetchall()
    return last


# A sequence that is behind


async def test_a_sequence_that_is_behind_gives_no_position_that_readers_have_passed(database_url: str) -> None:
    # Given a log of six events and a sequence that stands at the third, as after a cut-over that doesn't copy it
    await record(database_url, 6)
    leave_sequence_behind(database_url, 3)
    # when the service writes on
    await record(database_url, 4)
    # then its events stand behind all others,
    assert [position for position, _ in log_of(database_url)] == [*range(1, 11)]
    # and the sequence was set forward.
    assert sequence(database_url) == 10


async def test_the_release_before_would_have_written_where_readers_have_passed(database_url: str) -> None:
    """The control: it fails at positions that are taken, and then finds a gap among them."""
    await record(database_url, 6)
    execute(database_url, "DELETE FROM preferences_events WHERE notification_id = 4")
    positions_as_before(database_url)
    leave_sequence_behind(database_url, 3)
    await record(database_url, 1)
    assert [position for position, _ in log_of(database_url)] == [1, 2, 3, 4, 5, 6]


async def test_a_role_that_may_not_set_the_sequence_writes_on_behind_the_end(
    database_url: str, service_role: str
) -> None:
    await record(database_url, 6)
    leave_sequence_behind(database_url, 3)
    for _ in range(3):
        await record(service_role, 2)
    assert [position for position, _ in log_of(database_url)] == [*range(1, 13)]
    assert sequence(database_url) == 3


async def test_the_catalogue_and_the_library_write_behind_the_end_too(database_url: str) -> None:
    await record(database_url, 2, ADA)
    for number, write in enumerate([publish(database_url), asyncio.to_thread(write_as_library, database_url)], 3):
        leave_sequence_behind(database_url)
        await write
        assert [position for position, _ in log_of(database_url)] == [*range(1, number + 1)]


async def test_several_rows_of_one_statement_get_positions_of_their_own(database_url: str, service_role: str) -> None:
    await record(database_url, 3)
    leave_sequence_behind(database_url)
    execute(
        service_role,
        "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
        "SELECT gen_random_uuid(), 1, 'foreign', '{}' FROM generate_series(1, 3)",
    )
    assert [position for position, _ in log_of(database_url)] == [1, 2, 3, 4, 5, 6]


# Another server


async def test_on_another_server_the_log_goes_on_beyond_all_that_can_have_been_given_out(database_url: str) -> None:
    # Given a log that was written on another server until now
    await record(database_url, 6)
    move_elsewhere(database_url)
    before = datetime.now(UTC)
    # when the service appends
    await record(database_url, 2)
    # then an event says that the log was continued, far behind its end, by the clock,
    [(position, event)] = continuations(database_url)
    assert (event.previous_end, event.originator_version, event.source) == (6, 1, "system")
    assert position >= before.timestamp() * 1_000_000
    assert position < 2**53
    # and what was appended follows it,
    assert [found for found, _ in log_of(database_url)] == [1, 2, 3, 4, 5, 6, position, position + 1, position + 2]
    # and what is appended later follows that.
    await record(database_url, 1)
    assert log_of(database_url)[-1] == (position + 3, "opened")


async def test_where_the_clock_is_far_behind_the_log_still_goes_on_by_a_billion(database_url: str) -> None:
    # Given a log that ends further on than the clock says
    await record(database_url, 1)
    end = 2**52
    execute(database_url, f"UPDATE preferences_events SET notification_id = {end}")
    execute(database_url, f"SELECT setval('preferences_events_notification_id_seq', {end + 5})")
    move_elsewhere(database_url)
    # when it is continued
    await record(database_url, 1)
    # then it is so behind all that the sequence has given out.
    [(position, event)] = continuations(database_url)
    assert (event.previous_end, position) == (end, end + 5 + BILLION)


async def test_a_role_that_may_not_set_the_sequence_continues_the_log(database_url: str, service_role: str) -> None:
    await record(database_url, 6)
    move_elsewhere(database_url)
    for _ in range(2):
        await record(service_role, 2)
    [(position, _)] = continuations(database_url)
    assert [found for found, _ in log_of(database_url)][6:] == [*range(position, position + 5)]


async def test_many_who_find_it_out_at_once_continue_the_log_once(database_url: str) -> None:
    await record(database_url, 6)
    move_elsewhere(database_url)
    await asyncio.gather(*(record(database_url, 2) for _ in range(8)))
    assert len(continuations(database_url)) == 1
    assert len(log_of(database_url)) == 6 + 1 + 16


async def test_a_second_move_continues_it_once_more(database_url: str) -> None:
    for _ in range(2):
        await record(database_url, 2)
        move_elsewhere(database_url)
    await record(database_url, 2)
    [(first, one), (second, other)] = continuations(database_url)
    assert (one.previous_end, other.previous_end) == (2, first + 2)
    assert (one.originator_version, other.originator_version) == (1, 2)
    assert second >= first + 2 + BILLION


async def test_an_empty_log_is_continued_too_since_the_lost_one_may_not_have_been(database_url: str) -> None:
    move_elsewhere(database_url)
    await record(database_url, 1)
    [(position, event)] = continuations(database_url)
    assert event.previous_end == 0
    assert [found for found, _ in log_of(database_url)] == [position, position + 1]


async def test_a_catalogue_is_published_on_another_server(database_url: str) -> None:
    await record(database_url, 2)
    move_elsewhere(database_url)
    await publish(database_url)
    assert [kind for _, kind in log_of(database_url)][2:] == ["continued", "catalogue-published"]
    assert continuations(database_url)[0][1].catalogue_version == CATALOGUE.version


async def test_who_follows_the_log_continues_it_when_it_connects(database_url: str) -> None:
    await record(database_url, 2)
    move_elsewhere(database_url)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            await continue_where_moved(connection)
    assert [kind for _, kind in log_of(database_url)] == ["opened", "toggled", "continued"]


async def test_the_library_is_refused_until_the_service_has_continued_the_log(database_url: str) -> None:
    await record(database_url, 2, ADA)
    move_elsewhere(database_url)
    with pytest.raises(Exception, match="another server"):
        await asyncio.to_thread(write_as_library, database_url)
    assert len(log_of(database_url)) == 2


async def test_a_session_asks_once_and_again_where_its_transaction_was_rolled_back(database_url: str) -> None:
    """What it has learnt counts for as long as it can be true, and no longer."""
    write = (
        "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
        "VALUES (gen_random_uuid(), 1, 'foreign', '{}')"
    )
    known = "SELECT current_setting('preferences.log_server', true)"
    with psycopg.connect(database_url, autocommit=True) as connection:
        with connection.transaction(force_rollback=True):
            connection.execute(write)
            assert connection.execute(known).fetchone() == ("known",)
        assert connection.execute(known).fetchone() != ("known",)
        move_elsewhere(database_url)
        with pytest.raises(errors.Error) as refused:
            connection.execute(write)
    assert refused.value.sqlstate == "58LOG"


async def test_the_release_before_takes_the_refusal_for_temporary(database_url: str) -> None:
    """Its processes serve on during a rollout: they have no word for it, and 58 is the class that they answer with 503."""
    await record(database_url, 1)
    move_elsewhere(database_url)
    async with patient_database(database_url) as database:
        with pytest.raises(Unavailable):
            await database.write("SELECT next_position()")


async def test_it_is_counted_how_often_and_told_where_the_log_was_continued(database_url: str) -> None:
    async with patient_database(database_url) as database:
        assert await continuation_summary(database) == (0, 0, 0)
        await record(database_url, 2)
        for _ in range(2):
            before = log_of(database_url)[-1][0]
            move_elsewhere(database_url)
            await record(database_url, 1)
        assert await continuation_summary(database) == (2, continuations(database_url)[-1][0], before)


async def test_a_sequence_that_is_behind_is_found_and_set_forward(database_url: str) -> None:
    assert (behind(database_url), set_forward(database_url)) == (None, None)
    await record(database_url, 6)
    leave_sequence_behind(database_url, 3)
    assert behind(database_url) == (6, 3)
    assert set_forward(database_url) == 6
    assert behind(database_url) is None


async def test_setting_it_forward_waits_for_an_append_that_is_under_way(database_url: str) -> None:
    """That append moves the sequence on, and would find it set back."""
    await record(database_url, 6)
    leave_sequence_behind(database_url, 3)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with await psycopg.AsyncConnection.connect(database_url) as appending:
        await appending.execute("SELECT pg_advisory_xact_lock(7305114882901)")
        setting = asyncio.create_task(asyncio.to_thread(set_forward, database_url))
        async with asyncio.timeout(10):
            while not setting.done() and await (await appending.execute(waiting)).fetchone() == (0,):  # noqa: ASYNC110 - a lock tells nobody who waits
                await asyncio.sleep(0.01)
        assert not setting.done()
        await appending.commit()
    assert await setting == 6


# What stands beside


async def test_the_choices_that_were_decided_from_are_proven_with_the_version(database_url: str) -> None:
    # Given a stream, and somebody who read its row while that was damaged
    events = [opened(), toggled(2, "news", False)]
    async with patient_database(database_url) as database:
        store = PostgresPreferencesStore(database)
        first = Append(0, events, row_after(None, *events), opens_key=True, expected_choices={})
        assert await store.append([first]) == {ADA}

        def next_one(expected: dict[str, bool] | None) -> Append:
            event = toggled(3, "news", True, previous=False)
            return Append(2, [event], row_after(first.row, event), opens_key=False, expected_choices=expected)

        # when they append what they decided from it, then the stream is left alone,
        assert await store.append([next_one({"email.news": True})]) == set()
        assert await store.append([next_one({})]) == set()
        assert await store.append([next_one({"email.news": False, "email.digest": False})]) == set()
        # and what was decided from the row as it is, is appended.
        assert await store.append([next_one({"email.news": False})]) == {ADA}


async def test_a_batch_of_the_release_before_is_held_to_its_versions_alone(database_url: str) -> None:
    """It has no choices in it."""
    batch = '{"streams": [{"stream": "%s", "expected_version": 0, "new_key": null}], "events": [{"stream": "%s", "version": 1, "topic": "t", "state": {}, "sealed_actor": ""}]}'
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT append_events(%s::json)", [batch % (ADA, ADA)]).fetchall() == []
    assert log_of(database_url) == [(1, "t")]


async def test_how_far_behind_a_follower_is_does_not_count_the_positions_of_a_continuation(database_url: str) -> None:
    # Given a follower that has yet to handle more events than are counted, on both sides of a continuation
    await record(database_url, 20_000)
    execute(database_url, "INSERT INTO followers (name, position) VALUES ('before', 5), ('behind', 9000)")
    move_elsewhere(database_url)
    await record(database_url, 12_000)
    [(position, _)] = continuations(database_url)
    execute(database_url, f"INSERT INTO followers (name, position) VALUES ('there', {position - 1})")
    async with patient_database(database_url) as database:
        statuses = await FollowerRegister(database, lambda: datetime.now(UTC)).statuses([])
    # then its lag is the number of these events.
    assert {status.name: status.lag_events for status in statuses} == {
        "before": 19_995 + 1 + 12_000,
        "behind": 11_000 + 1 + 12_000,
        "there": 1 + 12_000,
    }
