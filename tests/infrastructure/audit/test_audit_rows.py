"""What the index of the audit log has of each event, made in the database and held against the decoded events."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from psycopg.errors import CheckViolation

from domain.events import Event
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.log.event_codec import StoredEvent, encode
from infrastructure.log.event_log import read_after
from tests.support.events import ADA, NOON, catalogue_published, erased, opened, toggled
from tests.support.filled_log import key_of
from tests.support.index_rows import index_row

GOLDEN = Path(__file__).parents[2] / "golden" / "events"
STORED = {file.stem: json.loads(file.read_text())["stored"] for file in sorted(GOLDEN.glob("*.json"))}

NAMES = [
    "org_math",
    "organization",
    "impersonated",
    "",
    'a"b',
    "back\\slash",
    "Größe 日本",
    "🎲",
    "x" * 300,
    " ",
    "{}",
    "\n\t",
]

WRITTEN: list[Callable[[Any], bytes]] = [
    orjson.dumps,
    lambda state: json.dumps(state).encode(),
    lambda state: json.dumps(state, indent=1, sort_keys=True).encode(),
    lambda state: json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode(),
    lambda state: orjson.dumps(dict(reversed(state.items()))),
    lambda state: orjson.dumps(state).replace(b'"organization"', b'"organiz\\u0061tion"'),
    lambda state: orjson.dumps(state).replace(b'"impersonat', b'"imperson\\u0061t'),
    lambda state: orjson.dumps(state).replace(b"+00:00", b"\\u002b00:00"),
    lambda state: orjson.dumps(state | {"event_id": 'a"b,"source":"api'}),
    lambda state: orjson.dumps(state | {"request_id": "back\\"}),
    lambda state: orjson.dumps({name: value for name, value in state.items() if name != "request_id"}),
    lambda state: orjson.dumps({"request_id": state["request_id"]} | state),
    lambda state: orjson.dumps({"timestamp": state["timestamp"], "request_id": state["request_id"]} | state),
]


@pytest.fixture
async def connection(database_url: str):
    async with await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, options="-c timezone=Asia/Kolkata"
    ) as connection:
        yield connection


async def record(connection: psycopg.AsyncConnection, stored: Sequence[StoredEvent]) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state, sealed_actor) "
            "VALUES (%s, %s, %s, %s, %s)",
            stored,
        )
        await cursor.executemany(
            "INSERT INTO person_keys VALUES (%s, 1, %s) ON CONFLICT DO NOTHING",
            [(event.originator_id, key_of(event.originator_id)) for event in stored if event.originator_version % 3],
        )


async def made(connection: psycopg.AsyncConnection, after: int = 0, up_to: int = 10**9) -> list[tuple[Any, ...]]:
    cursor = await connection.execute("SELECT * FROM audit_rows(%s, %s) ORDER BY position", [after, up_to])
    return await cursor.fetchall()


async def indexed(connection: psycopg.AsyncConnection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT position, occurred_at, originator_id, organization, action, channel, toggle, enabled, source, actor_kind "
        "FROM audit_entries JOIN audit_classes USING (class) ORDER BY position"
    )
    return await cursor.fetchall()


async def expected(connection: psycopg.AsyncConnection) -> list[tuple[Any, ...]]:
    log = await read_after(connection, 0, 1_000_000)
    rows = [(position, index_row(event)) for position, event in log]
    return [(position, row.occurred_at, row.stream, *row.of) for position, row in rows if row is not None]


def any_event(chance: random.Random, version: int) -> Event:
    organization = chance.choice([*NAMES, None, None])
    actor: dict[str, str] = {"user": chance.choice(NAMES)}
    if chance.random() < 0.3:
        actor["impersonator"] = chance.choice(NAMES)
    stream = stream_id(organization, f"user_{version}")
    fields: dict[str, Any] = {
        "timestamp": NOON + timedelta(microseconds=chance.choice([0, chance.randrange(10**9)])),
        "organization": organization,
        "source": chance.choice([*Source]).value,
    }
    kind = chance.randrange(4)
    if kind == 0:
        return catalogue_published(version)
    if kind == 1:
        return erased(version, stream, **fields)
    fields |= {"actor": actor, "impersonated": "impersonator" in actor}
    if kind == 2:
        return opened(stream, **fields)
    return toggled(version, chance.choice(NAMES), chance.random() < 0.5, stream, **fields, channel=chance.choice(NAMES))


def any_stored(chance: random.Random, version: int) -> StoredEvent:
    """As it is written now, sealed; or as it was before sealing, with or without saying that staff acted; or as others write JSON."""
    event = any_event(chance, version)
    form = chance.randrange(3)
    if form == 0:
        return encode(event, key_of(event.originator_id))
    stored = encode(event)
    state = orjson.loads(stored.state)
    if form == 1:
        # Before the event said so, only its actor did, who stood in the open.
        state.pop("impersonated", None)
    return stored._replace(state=chance.choice(WRITTEN)(state))


@pytest.mark.parametrize("seed", range(6))
async def test_any_log_makes_the_same_rows_as_its_decoded_events(connection, seed: int) -> None:
    # Given a log of any events, written in any way that they ever were, with unknown topics among them
    chance = random.Random(seed)
    await record(connection, [any_stored(chance, version) for version in range(1, 401)])
    rows = await expected(connection)
    unknown = StoredEvent(ADA, 9_999, "notification-preferences.of-the-future", b'{"organization":"org_math"}')
    await record(connection, [unknown])
    # when the database makes rows of them, then they are those of the decoded events, whole or in stretches
    assert await made(connection) == rows
    assert len(rows) > 200
    cuts = sorted(chance.sample(range(400), 5))
    pairs = list(zip([0, *cuts], [*cuts, 10**9], strict=True))
    assert [row for after, up_to in pairs for row in await made(connection, after, up_to)] == rows
    # and the index made in these stretches holds the same, with each class once.
    for after, up_to in pairs:
        await connection.execute("SELECT index_events(%s, %s)", [after, up_to])
    assert await indexed(connection) == rows
    [(classes, numbers)] = await (await connection.execute("SELECT count(*), max(class) FROM audit_classes")).fetchall()
    assert classes == numbers == len({row[3:] for row in rows})


async def test_of_events_as_this_service_writes_them_only_what_differs_from_event_to_event_is_cut_out(
    connection,
) -> None:
    # Given events of each kind, at different times, with ids of their own
    def events(at: timedelta) -> list[Event]:
        return [
            opened(ADA, timestamp=NOON + at),
            *(toggled(version, "news", True, timestamp=NOON + at * version) for version in (2, 3)),
            erased(4, timestamp=NOON + at),
        ]

    late = [
        encode(event, key_of(ADA))._replace(originator_id=UUID(int=1))
        for event in events(timedelta(days=9, microseconds=5))
    ]
    early = [encode(event, key_of(ADA)) for event in events(timedelta(microseconds=7))]
    await record(connection, [*late, *early])
    # when they are cut, then there is one shape of each kind, and it has neither ids nor times.
    cursor = await connection.execute(
        "SELECT topic, count(*), count(DISTINCT shape), bool_and(cut), bool_or(convert_from(shape, 'UTF8') ~ '2026|01JTBQ')"
        " FROM audit_shapes(0, 1000) GROUP BY topic ORDER BY count(*) DESC, topic"
    )
    assert [row[1:] for row in await cursor.fetchall()] == [
        (4, 1, True, False),
        (2, 1, True, False),
        (2, 1, True, False),
    ]


async def test_no_number_is_used_up_by_a_class_that_is_known(connection) -> None:
    # A number for each batch and class would use up all integers within weeks.
    await record(connection, [encode(toggled(version, "news", version % 2 == 0)) for version in range(1, 41)])
    for position in range(40):
        await connection.execute("SELECT index_events(%s, %s)", [position, position + 1])
    [(last,)] = await (await connection.execute("SELECT last_value FROM audit_classes_class_seq")).fetchall()
    assert last == 2


async def test_classes_get_numbers_of_their_own_where_the_sequence_is_behind(connection) -> None:
    # Given classes with numbers, and a sequence that was not copied with them
    await record(connection, [encode(toggled(1, "news", True)), encode(toggled(2, "news", False))])
    await connection.execute("SELECT index_events(0, 2)")
    await connection.execute("SELECT setval('audit_classes_class_seq', 1, false)")
    # when classes are met for the first time, then each gets a number that no other has.
    await record(connection, [encode(toggled(3, "offers", True)), encode(toggled(4, "offers", False))])
    await connection.execute("SELECT index_events(2, 4)")
    assert await indexed(connection) == await expected(connection)
    cursor = await connection.execute("SELECT class FROM audit_classes ORDER BY class")
    assert await cursor.fetchall() == [(1,), (2,), (3,), (4,)]


@pytest.mark.parametrize("lost", ["channel", "toggle", "enabled"])
async def test_a_damaged_choice_is_refused(connection, lost: str) -> None:
    stored = encode(toggled(1, "news", True))
    state = orjson.loads(stored.state)
    del state[lost]
    await record(connection, [stored._replace(state=orjson.dumps(state))])
    with pytest.raises(CheckViolation, match="audit_classes_whole"):
        await connection.execute("SELECT index_events(0, 10)")
    assert await indexed(connection) == []


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
async def test_every_event_that_was_ever_stored_makes_its_row(connection, stored: dict[str, Any]) -> None:
    event = StoredEvent(
        UUID(stored["originator_id"]), stored["originator_version"], stored["topic"], orjson.dumps(stored["state"])
    )
    await record(connection, [event])
    assert await made(connection) == await expected(connection)


async def test_a_range_of_positions_is_found_without_reading_all_entries(connection) -> None:
    await connection.execute(
        "INSERT INTO audit_entries SELECT n, now(), gen_random_uuid(), n %% 50 FROM generate_series(1, %s) n", [50_000]
    )
    await connection.execute("VACUUM ANALYZE audit_entries")
    cursor = await connection.execute(
        "EXPLAIN SELECT * FROM audit_entries WHERE position > 20000 AND position <= 20100"
    )
    plan = "\n".join(line for (line,) in await cursor.fetchall())
    assert "audit_entries_by_position" in plan
