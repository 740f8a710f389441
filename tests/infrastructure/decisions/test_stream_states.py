"""What streams stand at and what decisions rested on, read from PostgreSQL."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from domain.preferences import stream_id, stream_keys
from infrastructure.decisions.basis import PostgresEvidenceStore
from infrastructure.decisions.stream_states import PostgresStreamStates
from infrastructure.postgres.database import Database
from tests.support.catalogues import publish
from tests.support.events import ADA, erased, opened, toggled
from tests.support.filled_log import forget, put
from tests.support.patient_database import patient_database

ADA_KEY, NOBODY = stream_keys("org_math", ["user_ada", "user_nobody"])


def fill(url: str, *events) -> list[int]:
    """Their positions. The read model is made of them."""
    put(url, events)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO current_preferences (originator_id, version, position, modified_at, choices) "
            "SELECT originator_id, version, position, modified_at, choices FROM fold_preferences(0, 1000000)"
        )
        rows = connection.execute("SELECT notification_id FROM preferences_events ORDER BY 1").fetchall()
    return [position for (position,) in rows]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with patient_database(database_url) as database:
        yield database


async def test_of_an_empty_log_nothing_is_known_as_of_its_beginning(database) -> None:
    assert await PostgresStreamStates(database).stream_states([ADA_KEY], "email.news", with_end=True) == (0, {})
    evidence = await PostgresEvidenceStore(database).evidence(ADA)
    assert (evidence.end, evidence.events, evidence.catalogues) == (0, [], [])


@pytest.mark.parametrize("path", ["email.news", "email.tips", "email.none"])
async def test_a_stream_stands_where_its_last_event_is_with_its_choice(database_url: str, database, path: str) -> None:
    bob = stream_id("org_math", "user_bob")
    positions = fill(
        database_url,
        opened(),
        toggled(2, "news", False),
        toggled(3, "tips", True),
        opened(bob),
        toggled(2, "x", True, bob),
    )
    position, of = await PostgresStreamStates(database).stream_states([ADA_KEY, NOBODY], path, with_end=True)
    assert position == positions[-1]
    choice = {"email.news": False, "email.tips": True, "email.none": None}[path]
    assert of == {ADA_KEY: (3, positions[2], choice)}
    # Without the end, one is looked up in another way than several.
    for streams in ([ADA_KEY], [ADA_KEY, NOBODY]):
        assert await PostgresStreamStates(database).stream_states(streams, path, with_end=False) == (None, of)
    assert await PostgresStreamStates(database).stream_states([NOBODY], path, with_end=False) == (None, {})


async def test_many_streams_are_read_at_once(database_url: str, database) -> None:
    users = [f"user_{number}" for number in range(500)]
    streams = [stream_id("org_math", user) for user in users]
    fill(
        database_url,
        *(
            event
            for number, stream in enumerate(streams)
            for event in (opened(stream), toggled(2, "news", number % 2 == 0, stream))
        ),
    )
    _, of = await PostgresStreamStates(database).stream_states(
        stream_keys("org_math", users), "email.news", with_end=False
    )
    assert [of[stream.bytes].choice for stream in streams] == [number % 2 == 0 for number in range(500)]
    assert {standing.version for standing in of.values()} == {2}


async def test_evidence_is_the_stream_and_the_catalogues_with_their_positions(database_url: str, database) -> None:
    await publish(database_url)
    positions = fill(database_url, opened(), toggled(2, "news", False), opened(stream_id("org_math", "user_bob")))
    evidence = await PostgresEvidenceStore(database).evidence(ADA)
    assert evidence.end == positions[-1]
    assert [one.position for one in evidence.catalogues] == positions[:1]
    assert [(one.position, one.event.originator_version) for one in evidence.events] == [
        (positions[1], 1),
        (positions[2], 2),
    ]
    assert evidence.events[1].event.actor["user"] == "user_ada"


async def test_who_was_erased_and_came_back_is_told_apart(database_url: str, database) -> None:
    fill(database_url, opened(), toggled(2, "news", False), erased(3))
    forget(database_url, ADA)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO person_keys VALUES (%s, 4, %s)", [ADA, bytes(32)])
    evidence = await PostgresEvidenceStore(database).evidence(ADA)
    assert evidence.events[1].event.actor == {"user": "erased"}
