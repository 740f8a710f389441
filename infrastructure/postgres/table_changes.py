"""Changes of tables that other sessions read and write. While a change waits for its tables, no request waits long behind it."""

import time
from collections.abc import Callable
from typing import Final

from psycopg import errors, sql

from infrastructure.postgres.connection import BlockingConnection

ATTEMPTS: Final = 30
"""How often a change is tried while other sessions hold a table that it needs."""

PAUSE: Final = 1.0
"""Seconds between two attempts. In that time the requests that waited behind the last attempt are served."""

_PATIENCE: Final = "200ms"
"""How long a change waits for a table. Every later session waits behind it."""


class TablesHeld(Exception):
    """Other sessions held the tables, time and again. Nothing was changed."""


def change_tables(connection: BlockingConnection, change: Callable[[], object]) -> None:
    """Make a change in a transaction, once no other session holds the tables that it needs. Raises `TablesHeld`."""
    for left in reversed(range(ATTEMPTS)):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_PATIENCE))
                change()
            return
        except errors.LockNotAvailable as error:
            if not left:
                raise TablesHeld from error
        time.sleep(PAUSE)
