"""Fills a database with a log as the service would have written it, only faster.

The domain itself decides one sample stream. It is then written once for each user, with the user's own names and ids put
into the places where the sample has placeholders, and with actors that are really sealed, under one key that all users have:
so the rows have exactly the stored format, whatever that is. The projection makes the current preferences of it.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from itertools import cycle, islice

import psycopg
from psycopg import sql
from ulid_transform import ulid_now

from bench.users import User
from domain.catalogue import CATALOGUE
from domain.events import PreferencesEvent
from domain.preferences import NotificationPreferences, stream_id
from domain.provenance import Actor, Provenance, Source
from infrastructure.event_codec import StoredEvent, encode
from infrastructure.sealing import new_key, seal

ANYBODY = User("@organization@", "@user@")
BEGIN = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
EVENT_ID = "01K" + "0" * 23
REQUEST_ID = "01K" + "1" * 23

# What stands in a placeholder's place. An id is a ULID: 26 characters, of which hexadecimal digits are a subset.
_COLUMNS = {
    "@organization@": "organization",
    EVENT_ID: "event_id",
    REQUEST_ID: "'01K' || substr(upper(md5(number || 'r' || {version})), 1, 23)",
}
_PLACEHOLDER = re.compile("|".join(_COLUMNS))


def stream_of(user: User) -> Iterator[PreferencesEvent]:
    """The events of a user who flips one toggle after the other, without end."""
    return _flips(user, iter(ulid_now, None), iter(ulid_now, None))


def _flips(user: User, ids: Iterator[str], requests: Iterator[str]) -> Iterator[PreferencesEvent]:
    stream = stream_id(user.organization, user.name)
    aggregate = NotificationPreferences.open(stream, _provenance(user, 0, next(requests)), ids)
    paths = cycle(CATALOGUE.defaults)
    while True:
        yield from aggregate.collect_events()
        path = next(paths)
        choice = not aggregate.choices.get(path, CATALOGUE.defaults[path])
        aggregate.choose({path: choice}, _provenance(user, aggregate.version, next(requests)), ids)


def fill(url: str, users: Iterable[User], events: int) -> None:
    """Give each user that many events, in a log where the users take turns."""
    users = list(users)
    # A key, so that the actor isn't part of the state; the sealed one is made for each user below.
    key = new_key()
    sample = [encode(event, key) for event in islice(_flips(ANYBODY, cycle([EVENT_ID]), cycle([REQUEST_ID])), events)]
    with psycopg.connect(url, autocommit=True) as connection:
        # Rows first and indexes afterwards, which takes a fraction of the time.
        connection.execute("ALTER TABLE preferences_events DROP CONSTRAINT preferences_events_pkey")
        connection.execute("DROP INDEX preferences_events_notification_id_idx")
        connection.execute("SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")
        for stored in sample:
            _name_users(connection, users, stored.originator_version, key)
            connection.execute(_insert(stored))
        connection.execute("ALTER TABLE preferences_events ADD PRIMARY KEY (originator_id, originator_version)")
        connection.execute(
            "CREATE UNIQUE INDEX preferences_events_notification_id_idx ON preferences_events (notification_id)"
        )
        connection.execute("INSERT INTO person_keys SELECT stream, 1, %s FROM bench_users", [key])
        connection.execute("DROP TABLE bench_users")
        _project(connection)


def fill_one(url: str, user: User, events: int) -> None:
    """Give one user a long stream, event by event."""
    key = new_key()
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        with cursor.copy(
            "COPY preferences_events (originator_id, originator_version, topic, state, sealed_actor) FROM STDIN"
        ) as copy:
            for event in islice(stream_of(user), events):
                stored = encode(event, key)
                copy.write_row((*stored[:3], "\\x" + stored.state.hex(), "\\x" + stored.sealed_actor.hex()))
        connection.execute("INSERT INTO person_keys VALUES (%s, 1, %s)", [stream_id(user.organization, user.name), key])
        _project(connection)


def _provenance(user: User, number: int, request_id: str) -> Provenance:
    return Provenance(
        actor=_actor(user),
        organization=user.organization,
        source=Source.DASHBOARD,
        request_id=request_id,
        occurred_at=BEGIN + timedelta(seconds=number, microseconds=number % 1000),
        catalogue_version=CATALOGUE.version,
    )


def _actor(user: User) -> Actor:
    return Actor(user=user.name, session=f"sess_{user.name}")


def _name_users(connection: psycopg.Connection, users: Iterable[User], version: int, key: bytes) -> None:
    """Everybody, with the id of their event of this version and the actor that is sealed for it."""
    connection.execute("DROP TABLE IF EXISTS bench_users")
    connection.execute(
        "CREATE UNLOGGED TABLE bench_users "
        "(number bigserial, stream uuid, organization text, event_id text, sealed_actor bytea)"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY bench_users (stream, organization, event_id, sealed_actor) FROM STDIN") as copy,
    ):
        for user in users:
            event_id = "01K" + md5(f"{user.name}{version}".encode()).hexdigest()[:23].upper()
            sealed = seal(_actor(user), key, event_id)
            stream = stream_id(user.organization, user.name)
            copy.write_row((stream, user.organization, event_id, "\\x" + sealed.hex()))


def _insert(stored: StoredEvent) -> sql.Composed:
    """One event of each user, in the users' order.

    Its position is taken from the sequence: the column's default looks for the end of the log, by an index that isn't there yet.
    """
    state = stored.state.decode()
    pieces: list[sql.Composable] = []
    end = 0
    for found in _PLACEHOLDER.finditer(state):
        pieces.append(sql.Literal(state[end : found.start()]))
        pieces.append(sql.SQL(_COLUMNS[found[0]].format(version=stored.originator_version)))
        end = found.end()
    pieces.append(sql.Literal(state[end:]))
    return sql.SQL(
        "INSERT INTO preferences_events (notification_id, originator_id, originator_version, topic, state, sealed_actor) "
        "SELECT nextval('preferences_events_notification_id_seq'), stream, {}, {}, convert_to(concat({}), 'UTF8'), sealed_actor "
        "FROM bench_users ORDER BY number"
    ).format(sql.Literal(stored.originator_version), sql.Literal(stored.topic), sql.SQL(", ").join(pieces))


def _project(connection: psycopg.Connection) -> None:
    connection.execute("VACUUM (ANALYZE) preferences_events")
    connection.execute("VACUUM (ANALYZE) person_keys")
    connection.execute(
        "INSERT INTO current_preferences (originator_id, version, position, modified_at, choices) "
        "SELECT originator_id, version, position, modified_at, choices "
        "FROM fold_preferences(0, (SELECT max(notification_id) FROM preferences_events))"
    )
    connection.execute("VACUUM (ANALYZE) current_preferences")
