"""The log as one table. This module decodes no event, so a command that only needs the table loads no cryptography."""

from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.sql import queries


def about(connection: BlockingConnection) -> int:
    """The approximate number of events, for a progress bar."""
    [(count,)] = connection.execute(queries("event_log")["about"])
    return int(count)


def hold_appends(connection: BlockingConnection) -> None:
    """Until the transaction ends, nothing is appended, and no key is stored."""
    connection.execute(queries("event_log")["hold_appends"])
