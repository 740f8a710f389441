"""Fills a log with choices of every kind, and the index of the audit log with them, by PostgreSQL alone.

The domain's own event gives the stored format. Half of all events are one large organization's, the others belong to
organizations of 40 users; kinds of choices are as rare as they are in life. Actors stand in the open, as in events from
before sealing: what a page costs the database is the same, and no key has to be used ten million times.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from bench.users import numbered
from domain.events import NotificationToggled
from domain.preferences import stream_id
from infrastructure.event_codec import encode

LARGE = "org_2benchlarge"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = 1_000_000

# Everything about the events of some numbers. A user's events alternate between on and off.
_NUMBERED = sql.SQL("""
CREATE UNLOGGED TABLE bench_numbered AS
SELECT n, u.stream, u.organization, u.user_id, n / {users} + 1 AS version, {begin} + n * interval '1 second' AS occurred_at,
       (ARRAY['product_updates', 'delivery_alerts', 'billing_receipts', 'weekly_usage_digest'])[1 + h % 4] AS toggle,
       (n / {users}) % 2 = 0 AS enabled,
       CASE WHEN h / 7 % 1000 < 900 THEN 'dashboard' WHEN h / 7 % 1000 < 990 THEN 'api' WHEN h / 7 % 1000 < 997 THEN 'one_click'
            WHEN h / 7 % 1000 < 999 THEN 'import' ELSE 'admin' END AS source,
       CASE WHEN h / 11 % 200 = 0 THEN 'platform' ELSE 'customer' END AS actor_kind
FROM (SELECT n, abs(hashint8(n)::bigint) AS h FROM generate_series({first}::bigint, {last}::bigint) n) AS drawn
JOIN bench_users u ON u.number = n % {users};
CREATE INDEX ON bench_numbered (n);
ANALYZE bench_numbered
""")


def fill(url: str, users: int, events: int) -> None:
    """`users` with one event after the other in turns, until there are so many."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'; SET synchronous_commit = off; SET jit = off"
        )
        _name_users(connection, users)
        indexes = _without_indexes(connection)
        for first in range(0, events, CHUNK):
            last = min(first + CHUNK, events) - 1
            values = {"users": users, "begin": BEGIN, "first": first, "last": last}
            connection.execute(_NUMBERED.format(**{name: sql.Literal(value) for name, value in values.items()}))
            connection.execute(_LOG.format(state=_state()))
            connection.execute(_CLASSES)
            connection.execute(_ENTRIES)
            connection.execute("DROP TABLE bench_numbered")
        for statement in indexes:
            connection.execute(statement)
        connection.execute("SELECT setval('preferences_events_notification_id_seq', %s)", [events])
        connection.execute("INSERT INTO followers (name, position) VALUES ('audit-index', %s)", [events])
        connection.execute("DROP TABLE bench_users")
        connection.execute("VACUUM (ANALYZE)")


_LOG = sql.SQL(
    "INSERT INTO preferences_events (originator_id, originator_version, notification_id, topic, state) "
    "SELECT stream, version, n + 1, 'notification-preferences.toggled', convert_to({state}, 'UTF8') "
    "FROM bench_numbered ORDER BY n"
)
_CLASSES = """
INSERT INTO audit_classes (organization, action, channel, toggle, enabled, source, actor_kind)
SELECT DISTINCT organization, 'notification_preferences.toggle', 'email', toggle, enabled, source, actor_kind
FROM bench_numbered
ON CONFLICT DO NOTHING;
ANALYZE audit_classes
"""
_ENTRIES = """
INSERT INTO audit_entries (position, occurred_at, originator_id, class)
SELECT n + 1, occurred_at, stream, class
FROM bench_numbered JOIN audit_classes USING (organization, toggle, enabled, source, actor_kind)
ORDER BY n
"""


def _state() -> sql.Composed:
    """What is stored of an event, as an expression over its columns."""

    def of(*, enabled: bool, impersonated: bool) -> sql.Composable:
        sample = NotificationToggled(
            originator_id=stream_id("", ""),
            originator_version=1,
            timestamp=BEGIN,
            event_id="@event_id@",
            channel="email",
            toggle="@toggle@",
            enabled=enabled,
            actor={"user": "@user@", "session": "sess_@user@"},
            request_id="@request_id@",
            source="@source@",
            catalogue_version=1,
            organization="@organization@",
            impersonated=impersonated,
        )
        text: sql.Composable = sql.Literal(encode(sample).state.decode())
        for placeholder, column in (
            ("@event_id@", "'01K' || substr(upper(md5(n || 'e')), 1, 23)"),
            ("@request_id@", "'01K' || substr(upper(md5(n || 'r')), 1, 23)"),
            ("@user@", "user_id"),
            ("@organization@", "organization"),
            ("@toggle@", "toggle"),
            ("@source@", "source"),
            (BEGIN.isoformat(), "to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"),
        ):
            text = sql.SQL("replace({}, {}, {})").format(text, sql.Literal(placeholder), sql.SQL(column))
        return text

    return sql.SQL(
        "CASE WHEN actor_kind = 'platform' THEN CASE WHEN enabled THEN {} ELSE {} END WHEN enabled THEN {} ELSE {} END"
    ).format(
        of(enabled=True, impersonated=True),
        of(enabled=False, impersonated=True),
        of(enabled=True, impersonated=False),
        of(enabled=False, impersonated=False),
    )


def people(users: int) -> Iterator[tuple[str, str]]:
    """Organization and name of each, by number: every other one is of the large organization."""
    for number in range(users):
        user = numbered(number)
        yield (LARGE if number % 2 else user.organization), user.name


def _name_users(connection: psycopg.Connection, users: int) -> None:
    connection.execute(
        "CREATE UNLOGGED TABLE bench_users (number bigint, stream uuid, organization text, user_id text)"
    )
    with connection.cursor() as cursor, cursor.copy("COPY bench_users FROM STDIN") as copy:
        for number, (organization, name) in enumerate(people(users)):
            copy.write_row((number, stream_id(organization, name), organization, name))
    connection.execute("CREATE INDEX ON bench_users (number)")
    connection.execute("ANALYZE bench_users")
    connection.execute("INSERT INTO person_keys SELECT stream, 1, sha256(user_id::bytea) FROM bench_users")


def _without_indexes(connection: psycopg.Connection) -> list[str]:
    """Drops what is quicker made afterwards; how to make it again."""
    rows = connection.execute(
        "SELECT i.relname, pg_get_indexdef(i.oid), c.conname, t.relname, pg_get_constraintdef(c.oid) "
        "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
        "LEFT JOIN pg_constraint c ON c.conindid = i.oid WHERE t.relname IN ('preferences_events', 'audit_entries')"
    ).fetchall()
    again = []
    for index, definition, constraint, table, of_constraint in rows:
        if constraint:
            connection.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*map(sql.Identifier, (table, constraint)))
            )
            again.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {of_constraint}")
        else:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(index)))
            again.append(definition)
    return again
