"""A log whose server is another one by now, a sequence that is behind, and the functions of the release before."""

import re
from typing import Any

import psycopg

from infrastructure.postgres import migrations


def move_elsewhere(url: str) -> None:
    """Make the log believe that it was written on another server until now."""
    execute(url, "UPDATE log_servers SET server = 'another one'")


def leave_sequence_behind(url: str, at: int = 1) -> None:
    """What a cut-over does that copies the rows, but not the sequences."""
    execute(url, f"SELECT setval('preferences_events_notification_id_seq', {at})")


def positions_as_before(url: str) -> None:
    """The control: positions come from the sequence alone, on whatever server, as in the release before."""
    [sealed] = [migration.sql for migration in migrations.available() if migration.number == 3]
    function = re.search(r"CREATE OR REPLACE FUNCTION append_events.*?\$\$;", sealed, re.DOTALL)
    assert function is not None
    execute(url, function[0])
    execute(
        url,
        "ALTER TABLE preferences_events ALTER COLUMN notification_id "
        "SET DEFAULT nextval('preferences_events_notification_id_seq')",
    )
    execute(url, "CREATE OR REPLACE FUNCTION log_is_at_home() RETURNS boolean LANGUAGE sql AS 'SELECT true'")


def execute(url: str, statement: str, parameters: Any = None) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), parameters)


def log_of(url: str) -> list[tuple[int, str]]:
    """Positions, and the kind of event at each."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT notification_id, topic FROM preferences_events ORDER BY 1").fetchall()
    return [(position, topic.removeprefix("notification-preferences.")) for position, topic in rows]
