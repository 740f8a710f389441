"""Actors that their person's key doesn't open: counted for /metrics, and told in the log once for each stream."""

import os
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Metric

MOST: Final = 1_000
"""Streams that one process names in the log. Behind them only the counter goes on."""

log = structlog.get_logger("keys")

_told: Final[set[UUID]] = set()


@cache
def _counter() -> "tuple[CollectorRegistry, Counter]":
    """Made when it is wanted: the library decides when it is imported where it counts, and most commands count nothing."""
    from prometheus_client import CollectorRegistry, Counter

    registry = CollectorRegistry()
    what = "How often an event was read whose actor its person's key does not open."
    return registry, Counter("preferences_unreadable_actors", what, registry=registry)


def note(stream: UUID, version: int) -> None:
    """Count an event that was read without its actor. The first of each stream is an error in the log."""
    _counter()[1].inc()
    if stream in _told or len(_told) >= MOST:
        return
    _told.add(stream)
    log.error(
        "the key does not open who acted",
        stream=str(stream),
        version=version,
        advice="`preferences person-keys check` names all such streams, `repair` sets them right",
        last_one_named=len(_told) == MOST,
    )


def collect() -> "Iterable[Metric]":
    """What this process counted. Of several worker processes it is in the files that all of them share."""
    registry, _ = _counter()
    return () if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else registry.collect()
