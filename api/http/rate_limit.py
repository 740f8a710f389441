"""Limits how often one user may change preferences."""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final
from uuid import UUID

from domain.errors import RateLimited

TRACKED: Final = 100_000
"""Streams remembered at once. The least recently used stream is forgotten first; its user may then make a few more changes."""


class RateLimit:
    """A bucket of `per_minute` changes for each stream, which refills evenly (GCRA: one number per stream). 0 means no limit.

    It counts in this process alone. With several workers, a user may make that many times as many changes. `refused` is how many
    changes were too many so far.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._full_again: OrderedDict[UUID, float] = OrderedDict()
        self.refused = 0

    def spend(self, stream: UUID) -> None:
        """Count one change. Raises `RateLimited`, which says after how many seconds the next change is allowed."""
        if not self._interval:
            return
        now = self._clock()
        full_again = max(self._full_again.get(stream, now), now) + self._interval
        excess = full_again - now - 60
        if excess > 0:
            self.refused += 1
            raise RateLimited(retry_after=math.ceil(excess))
        self._full_again[stream] = full_again
        self._full_again.move_to_end(stream)
        if len(self._full_again) > TRACKED:
            self._full_again.popitem(last=False)
