"""Empties the embedded database for the demo, if nobody can miss what is in it."""

from typing import Final

from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.sql import queries

MARK: Final = "made by preferences demo"

_SESSION: Final = Session(application="preferences demo", connect_within=5)


def refusal(url: str) -> str | None:
    """Why the database can't be emptied, as the end of a sentence; None if it is empty, or made by the demo."""
    statements = queries("demo_database")
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        [(has_log, mark)] = connection.execute(statements["state"]).fetchall()
        [(sessions,)] = connection.execute(statements["in_use"]).fetchall()
        if sessions:
            return "is in use: stop the service first"
        if has_log and mark != MARK:
            [(events, keys)] = connection.execute(statements["kept"]).fetchall()
            if events or keys:
                return f"has {events} events and {keys} API keys that no demo made"
    return None


def empty(url: str) -> None:
    with connect_blocking(url, _SESSION) as connection:
        connection.execute(queries("demo_database")["empty"])
