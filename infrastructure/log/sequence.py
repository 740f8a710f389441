"""The sequence that positions come from, when it is behind the end of the log."""

from typing import Final

from infrastructure.log.log_table import hold_appends
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.sql import queries

_SESSION: Final = Session(application="preferences check", connect_within=5)


def behind(url: str) -> tuple[int, int] | None:
    """The end of the log and the last value of the sequence, or None if it isn't behind. It never is after an append by a role that may
    set it.
    """
    with connect_blocking(url, _SESSION) as connection:
        row = connection.execute(queries("sequence")["behind"]).fetchone()
    return None if row is None else (row[0], row[1])


def set_forward(url: str) -> int | None:
    """Set the sequence to the end of the log, and return that position. Returns None if the sequence isn't behind."""
    statements = queries("sequence")
    with connect_blocking(url, _SESSION) as connection:
        # Otherwise an append could move the sequence on meanwhile, and this would set it back.
        hold_appends(connection)
        row = connection.execute(statements["behind"]).fetchone()
        if row is None:
            return None
        connection.execute(statements["set_forward"], [row[0]])
        return int(row[0])
