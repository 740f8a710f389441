"""What stands in the record of reading."""

from typing import Any

import psycopg


def readings(url: str) -> list[tuple[Any, ...]]:
    """Who read in which organization, what, with which question, how much, and how it ended; in the order of reading."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT reader, organization, action, filter, count, outcome FROM audit_reads ORDER BY id"
        ).fetchall()
