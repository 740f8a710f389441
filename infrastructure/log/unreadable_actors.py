"""Actors that the person's key does not open: counted for /metrics, and logged once for each stream."""

import os
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Metric

MAX_REMEMBERED: Final = 1_000
"""How many streams one process names in its log lines. After that only the counter goes on."""

log = structlog.get_logger("keys")

_told: Final[set[UUID]] = set()


@cache
def _counter() -> "tuple[CollectorRegistry, Counter]":
    """Created on first use: prometheus_client decides at import time where it counts, and most commands count nothing."""
    from prometheus_client import CollectorRegistry, Counter

    registry = CollectorRegistry()
    what = "How often an event was read whose actor its person's key does not open."
    return registry, Counter("preferences_unreadable_actors", what, registry=registry)


def note(stream: UUID, version: int) -> None:
    """Count an event that was read without its actor. The first such event of each stream is logged as an error."""
    _counter()[1].inc()
    if stream in _told or len(_told) >= MAX_REMEMBERED:
        return
    _told.add(stream)
    log.error(
        "the key does not open who acted",
        stream=str(stream),
        version=version,
        advice="`preferences person-keys check` names all such streams, `repair` sets them right",
        last_one_named=len(_told) == MAX_REMEMBERED,
    )


def collect() -> "Iterable[Metric]":
    """The counts of this process. With several worker processes the counts are in the files that all of them share."""
    registry, _ = _counter()
    return () if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else registry.collect()
