"""The eventsourcing library beside our own writers."""

import psycopg

OURS = "PERFORM pg_notify('preferences_log', '');"
THEIRS = "PERFORM pg_notify('preferences_events', '');"


def wake_the_library(url: str) -> None:
    """Let `append_events` notify the library's channel as well, where it doesn't yet."""
    with psycopg.connect(url) as connection:
        [(function,)] = connection.execute("SELECT pg_get_functiondef('append_events(json)'::regprocedure)").fetchall()
        if THEIRS not in function:
            assert OURS in function
            connection.execute(function.replace(OURS, f"{OURS} {THEIRS}").encode())
