"""The projection to current preferences, in the database, held against the aggregate."""

import json
import random
from uuid import UUID

import orjson
import psycopg
import pytest

from infrastructure.log.event_codec import encode
from tests.support.events import ADA, BOB, KEY, erased, opened, row_after, toggled


@pytest.fixture
def connection(database_url: str):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def record(connection: psycopg.Connection, *events) -> None:
    for event in events:
        connection.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state, sealed_actor) "
            "VALUES (%s, %s, %s, %s, %s)",
            encode(event, KEY),
        )


def folded(connection: psycopg.Connection, after: int = 0, up_to: int = 10**9, part: int = 0, parts: int = 1) -> dict:
    rows = connection.execute("SELECT * FROM fold_preferences(%s, %s, %s, %s)", [after, up_to, part, parts]).fetchall()
    return {row[0]: row[1:] for row in rows}


def test_choices_add_up_and_the_later_one_wins(connection) -> None:
    events = [opened(), toggled(2, "news", True), toggled(3, "digest", True), toggled(4, "news", False)]
    record(connection, *events)
    row = row_after(None, *events)
    assert folded(connection) == {ADA: (1, 4, 4, 4, row.modified_at, {"email.news": False, "email.digest": True})}


def test_who_opened_and_chose_nothing_has_a_row_without_choices(connection) -> None:
    event = opened(BOB)
    record(connection, event)
    assert folded(connection) == {BOB: (1, 1, 1, 1, event.timestamp, {})}


def test_an_erasure_leaves_the_choices_in_force(connection) -> None:
    record(connection, opened(), toggled(2, "news", False), erased(3))
    assert folded(connection)[ADA][-1] == {"email.news": False}


@pytest.mark.parametrize(
    "written",
    [
        lambda state: orjson.dumps(state),
        lambda state: json.dumps(state).encode(),
        lambda state: json.dumps(state, indent=2, sort_keys=True).encode(),
        lambda state: json.dumps(state, separators=(",", ":")).replace("news", "n\\u0065ws").encode(),
    ],
    ids=["compact", "with spaces", "on many lines", "with escapes"],
)
@pytest.mark.parametrize(
    "more", [{}, {"note": 'the "toggle":"x" and "enabled":true of \\'}, {"actor": {"user": '"channel":"x"'}}]
)
def test_an_event_says_the_same_however_its_json_is_written(connection, written, more) -> None:
    record(connection, opened())
    stored = encode(toggled(2, "news", False), KEY)
    connection.execute(
        "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
        [*stored[:3], written({**more, **orjson.loads(stored.state)})],
    )
    assert folded(connection)[ADA][-1] == {"email.news": False}


def test_what_is_not_about_preferences_is_left_out(connection) -> None:
    connection.execute(
        "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, 1, %s, '{}')",
        [UUID(int=1), "notification-preferences.catalogue-published"],
    )
    assert folded(connection) == {}


def test_a_stretch_says_where_it_begins_so_that_a_gap_can_be_told(connection) -> None:
    record(connection, opened(), toggled(2, "news", True), toggled(3, "news", False), toggled(5, "news", True))
    since, version, events, position, *_ = folded(connection, after=1)[ADA]
    assert (since, version, events, position) == (2, 5, 3, 4)


def test_any_log_folds_as_the_aggregate_does_whole_or_in_parts_and_stretches(connection) -> None:
    """Seeded: many streams whose events are mixed, some with times of whole seconds, which are written shorter."""
    rng = random.Random(7)
    streams = {UUID(int=rng.getrandbits(128)): [] for _ in range(20)}
    for _ in range(300):
        stream, events = rng.choice(list(streams.items()))
        version = len(events) + 1
        event = opened(stream) if version == 1 else toggled(version, rng.choice("abc"), rng.random() < 0.5, stream)
        record(connection, event)
        events.append(event)
    expected = {
        stream: (1, row.version, row.version, row.modified_at, row.choices)
        for stream, events in streams.items()
        if events
        for row in (row_after(None, *events),)
    }
    whole = folded(connection)
    assert {stream: (*row[:3], *row[4:]) for stream, row in whole.items()} == expected
    parts = [folded(connection, part=part, parts=4) for part in range(4)]
    assert sum(len(part) for part in parts) == len(whole)
    assert {stream: row for part in parts for stream, row in part.items()} == whole
    first, second = folded(connection, up_to=150), folded(connection, after=150)
    merged = {s: first.get(s, (0,) * 5 + ({},))[-1] | second.get(s, (0,) * 5 + ({},))[-1] for s in whole}
    assert merged == {stream: row[-1] for stream, row in whole.items()}
