"""How busy a pool of connections is."""

from collections.abc import Mapping
from typing import NamedTuple, Self


class PoolFigures(NamedTuple):
    """`used`, `idle` and `most` are connections; a connection that is being made counts as used. `waiting` are callers without one.

    `timeouts` is how many callers got none in time so far, `failures` how many attempts to connect have failed.
    """

    used: int
    idle: int
    most: int
    waiting: int
    timeouts: int
    failures: int

    @classmethod
    def of(cls, stats: Mapping[str, int], *, kept_at_hand: int, waiting: int) -> Self:
        """`stats` are those of psycopg's pool. It counts a connection that is kept at hand as given out, and callers who have given up as
        waiting."""
        idle = stats["pool_available"] + kept_at_hand
        return cls(
            used=stats["pool_size"] - idle,
            idle=idle,
            most=stats["pool_max"],
            waiting=waiting,
            timeouts=stats.get("requests_errors", 0),
            failures=stats.get("connections_errors", 0),
        )
