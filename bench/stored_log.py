"""Fills a database with a log as the service would have written it, only faster.

The domain itself decides one sample stream. It is then written once for each user, with the user's own names and ids put
into the places where the sample has placeholders, and with actors that are really sealed, under one key that all users have:
so the rows have exactly the stored format, whatever that is. The projection makes the current preferences of it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

import psycopg
from ulid_transform import ulid_now

from bench.users import User
from domain.catalogue import CATALOGUE
from domain.events import PreferencesEvent
from domain.preferences import NotificationPreferences, stream_id
from domain.provenance import Actor, Provenance, Source
from infrastructure.log.event_codec import StoredEvent, encode
from infrastructure.log.sealing import new_key, seal

ANYBODY = User("@organization@", "@user@")
EVENT_ID, REQUEST_ID = "01K" + "0" * 23, "01K" + "1" * 23
INDEXED_AT_ONCE = 1_000_000
BEGIN = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


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
    key = new_key()
    _write(url, _in_turns(list(users), events, key), key)


def fill_one(url: str, user: User, events: int) -> None:
    """Give one user a long stream, event by event."""
    key = new_key()
    _write(url, (encode(event, key) for event in islice(stream_of(user), events)), key)


def _in_turns(users: list[User], events: int, key: bytes) -> Iterator[StoredEvent]:
    owners = [(user.organization, _actor(user), stream_id(user.organization, user.name)) for user in users]
    # With a key, so that the actor isn't part of the state. The sealed one is made for each user.
    for sample in islice(_flips(ANYBODY, cycle([EVENT_ID]), cycle([REQUEST_ID])), events):
        _, version, topic, state, _ = encode(sample, key)
        for number, (organization, actor, stream) in enumerate(owners):
            event_id, request_id = ids(version, number)
            own = named(state.decode(), organization, event_id, request_id)
            yield StoredEvent(stream, version, topic, own, seal(actor, key, event_id))


def ids(version: int, number: int) -> tuple[str, str]:
    """Of an event and of its request. An id is a ULID: 26 characters, of which digits are a subset."""
    digits = f"{version:06}{number:016}"
    return f"01K0{digits}", f"01K1{digits}"


def named(state: str, organization: str, event_id: str, request_id: str) -> bytes:
    """A sample's state, made another user's."""
    own = state.replace(ANYBODY.organization, organization)
    return own.replace(EVENT_ID, event_id).replace(REQUEST_ID, request_id).encode()


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


def _write(url: str, rows: Iterable[StoredEvent], key: bytes) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        write_log(connection, rows, key)
        connection.execute("SET work_mem = '256MB'")
        connection.execute(
            "INSERT INTO current_preferences (originator_id, version, position, modified_at, choices) "
            "SELECT originator_id, version, position, modified_at, choices "
            "FROM fold_preferences(0, (SELECT max(notification_id) FROM preferences_events))"
        )
        connection.execute("VACUUM (ANALYZE) current_preferences")


def write_log(connection: psycopg.Connection, rows: Iterable[StoredEvent], key: bytes) -> None:
    """The log and the keys of its persons, without anything that is made of the log.

    Positions are given here: the table's default looks for the end of the log, each time, in an index that isn't there.
    """
    columns = "notification_id, originator_id, originator_version, topic, state, sealed_actor"
    position = 0
    with (
        without_indexes(connection, "preferences_events"),
        connection.cursor() as cursor,
        cursor.copy(f"COPY preferences_events ({columns}) FROM STDIN") as copy,
    ):
        for position, (stream, version, topic, state, sealed_actor) in enumerate(rows, 1):
            copy.write_row((position, stream, version, topic, "\\x" + state.hex(), "\\x" + sealed_actor.hex()))
    connection.execute("SELECT setval('preferences_events_notification_id_seq', %s)", [position])
    connection.execute(
        "INSERT INTO person_keys SELECT originator_id, 1, %s FROM preferences_events WHERE originator_version = 1",
        [key],
    )
    connection.execute("VACUUM (ANALYZE) preferences_events, person_keys")


@contextmanager
def without_indexes(connection: psycopg.Connection, table: str) -> Iterator[None]:
    """Rows first and indexes afterwards, which takes a fraction of the time."""
    rows = connection.execute(
        "SELECT i.relname, pg_get_indexdef(i.oid), c.conname, pg_get_constraintdef(c.oid) "
        "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_constraint c ON c.conindid = i.oid "
        "WHERE x.indrelid = %s::regclass",
        [table],
    ).fetchall()
    again = []
    for index, definition, constraint, of_constraint in rows:
        if constraint:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
            again.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {of_constraint}")
        else:
            connection.execute(f"DROP INDEX {index}")
            again.append(definition)
    yield
    connection.execute("SET maintenance_work_mem = '512MB'")
    for statement in again:
        connection.execute(statement)


def index_log(connection: psycopg.Connection, events: int) -> None:
    """Make the index of the audit log as its follower makes it, from a log of so many events."""
    with without_indexes(connection, "audit_entries"):
        for after in range(0, events, INDEXED_AT_ONCE):
            connection.execute("SELECT index_events(%s, %s)", [after, min(after + INDEXED_AT_ONCE, events)])
    connection.execute("INSERT INTO followers (name, position) VALUES ('audit-index', %s)", [events])
    connection.execute("VACUUM (ANALYZE) audit_entries, audit_classes")
