"""Fills a database with a log as the service would have written it, only faster.

The domain itself decides one sample stream, and the projection makes its row. PostgreSQL then writes that stream once for
each user, with the user's own names and ids put into the places where the sample has placeholders: so the rows have
exactly the stored format, whatever that is, and the current preferences are what the log says.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

import orjson
import psycopg
from psycopg import sql
from ulid_transform import ulid_now

from bench.users import User
from domain.catalogue import CATALOGUE
from domain.events import PreferencesEvent
from domain.preferences import NotificationPreferences, stream_id
from domain.provenance import Actor, Provenance, Source
from infrastructure.event_codec import StoredEvent, encode
from projections.current_preferences import CurrentPreferences, project

ANYBODY = User("@organization@", "@user@")
BEGIN = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)

# What stands in a placeholder's place. An id is a ULID: 26 characters, of which hexadecimal digits are a subset.
_COLUMNS = {
    "@organization@": "organization",
    "@user@": "user_id",
    "@event_id@": "'01K' || substr(upper(md5(number || 'e' || {version})), 1, 23)",
    "@request_id@": "'01K' || substr(upper(md5(number || 'r' || {version})), 1, 23)",
}
_PLACEHOLDER = re.compile("|".join(_COLUMNS))


def stream_of(user: User, events: int) -> Iterator[tuple[PreferencesEvent, CurrentPreferences]]:
    """The first events of a user who flips one toggle after the other, each with the row after it."""
    row: CurrentPreferences | None = None
    stream = stream_id(user.organization, user.name)
    ids = cycle(["@event_id@"])
    aggregate = NotificationPreferences.open(stream, _provenance(user, 0), ids)
    paths = cycle(CATALOGUE.defaults)
    while True:
        for event in aggregate.collect_events():
            row = project(row, event)
            yield event, row
            if row.version == events:
                return
        path = next(paths)
        choice = not aggregate.choices.get(path, CATALOGUE.defaults[path])
        aggregate.choose({path: choice}, _provenance(user, aggregate.version), ids)


def fill(url: str, users: Iterable[User], events: int) -> None:
    """Give each user that many events, in a log where the users take turns."""
    sample = [(encode(event), row) for event, row in stream_of(ANYBODY, events)]
    with psycopg.connect(url, autocommit=True) as connection:
        _name_users(connection, users)
        # Rows first and indexes afterwards, which takes a fraction of the time.
        connection.execute("ALTER TABLE preferences_events DROP CONSTRAINT preferences_events_pkey")
        connection.execute("DROP INDEX preferences_events_notification_id_idx")
        connection.execute("SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")
        for stored, _ in sample:
            connection.execute(_insert(stored))
        connection.execute("ALTER TABLE preferences_events ADD PRIMARY KEY (originator_id, originator_version)")
        connection.execute(
            "CREATE UNIQUE INDEX preferences_events_notification_id_idx ON preferences_events (notification_id)"
        )
        _insert_rows(connection, sample[-1][1])
        connection.execute("DROP TABLE bench_users")
        connection.execute("VACUUM (ANALYZE) preferences_events")
        connection.execute("VACUUM (ANALYZE) current_preferences")


def filled_in(stored: StoredEvent) -> StoredEvent:
    """The event with ids of its own, where it has placeholders for them."""
    state = stored.state.replace(b"@event_id@", ulid_now().encode()).replace(b"@request_id@", ulid_now().encode())
    return stored._replace(state=state)


def fill_one(url: str, user: User, events: int) -> None:
    """Give one user a long stream, event by event."""
    with psycopg.connect(url) as connection:
        last: CurrentPreferences | None = None
        cursor = connection.cursor()
        with cursor.copy(
            "COPY preferences_events (originator_id, originator_version, topic, state) FROM STDIN"
        ) as copy:
            for event, last in islice(stream_of(user, events), events):  # noqa: B007 - the last one is wanted
                stored = filled_in(encode(event))
                copy.write_row((*stored[:3], "\\x" + stored.state.hex()))
        assert last is not None
        connection.execute(
            "INSERT INTO current_preferences VALUES (%s, %s, %s, %s, %s, %s, "
            "(SELECT max(notification_id) FROM preferences_events))",
            [
                last.stream,
                last.organization,
                last.user,
                last.version,
                orjson.dumps(last.choices).decode(),
                last.modified_at,
            ],
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) preferences_events")


def _provenance(user: User, number: int) -> Provenance:
    return Provenance(
        actor=Actor(user=user.name, session=f"sess_{user.name}"),
        organization=user.organization,
        source=Source.DASHBOARD,
        request_id="@request_id@",
        occurred_at=BEGIN + timedelta(seconds=number, microseconds=number % 1000),
        catalogue_version=CATALOGUE.version,
    )


def _name_users(connection: psycopg.Connection, users: Iterable[User]) -> None:
    connection.execute(
        "CREATE UNLOGGED TABLE bench_users (number bigserial, stream uuid, organization text, user_id text)"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY bench_users (stream, organization, user_id) FROM STDIN") as copy,
    ):
        for user in users:
            copy.write_row((stream_id(user.organization, user.name), user.organization, user.name))
    connection.execute("ANALYZE bench_users")


def _insert(stored: StoredEvent) -> sql.Composed:
    """One event of each user, in the users' order."""
    state = stored.state.decode()
    pieces: list[sql.Composable] = []
    end = 0
    for found in _PLACEHOLDER.finditer(state):
        pieces.append(sql.Literal(state[end : found.start()]))
        pieces.append(sql.SQL(_COLUMNS[found[0]].format(version=stored.originator_version)))
        end = found.end()
    pieces.append(sql.Literal(state[end:]))
    return sql.SQL(
        "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
        "SELECT stream, {}, {}, convert_to(concat({}), 'UTF8') FROM bench_users ORDER BY number"
    ).format(sql.Literal(stored.originator_version), sql.Literal(stored.topic), sql.SQL(", ").join(pieces))


def _insert_rows(connection: psycopg.Connection, row: CurrentPreferences) -> None:
    connection.execute(
        "INSERT INTO current_preferences "
        "(originator_id, organization, user_id, version, choices, modified_at, position) "
        "SELECT u.stream, u.organization, u.user_id, %(version)s, %(choices)s::jsonb, %(modified_at)s, e.notification_id "
        "FROM bench_users u JOIN preferences_events e "
        "ON e.originator_id = u.stream AND e.originator_version = %(version)s",
        {"version": row.version, "choices": orjson.dumps(row.choices).decode(), "modified_at": row.modified_at},
    )
