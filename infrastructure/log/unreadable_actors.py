"""Actors that the person's key does not open: counted for /metrics, and logged once for each stream."""

from collections import Counter
from typing import Final
from uuid import UUID

import structlog

MAX_REMEMBERED: Final = 1_000
"""How many streams one process names in its log lines. After that only the counter goes on."""

log = structlog.get_logger("keys")

reads: Final[Counter[tuple[str, ...]]] = Counter({(): 0})
"""How often this process has read such an event: one number, without labels."""

_told: Final[set[UUID]] = set()


def note(stream: UUID, version: int) -> None:
    """Count an event that was read without its actor. The first such event of each stream is logged as an error."""
    reads[()] += 1
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
