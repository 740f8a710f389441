"""Rows that were seen lately: a guess to decide from, which the append proves by content or refuses."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final
from uuid import UUID

from projections.current_preferences import CurrentPreferences

SERVES: Final = 2.0
"""Seconds for which a row is remembered. One that another process has changed meanwhile costs a round trip more than to read it."""


class RememberedRows:
    """At most `most` rows, for `SERVES` seconds of the `clock`; the one put in first goes first.

    A row is handed out once. Whoever took it and saw it proven puts its successor in; who didn't, leaves nothing that
    could mislead a second time.
    """

    def __init__(self, most: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._rows: OrderedDict[UUID, tuple[float, CurrentPreferences]] = OrderedDict()

    def take(self, streams: Iterable[UUID]) -> dict[UUID, CurrentPreferences]:
        """Those of these streams that are remembered, and from now on no longer are."""
        young = self._clock() - SERVES
        taken = {}
        for stream in streams:
            remembered = self._rows.pop(stream, None)
            if remembered is not None and remembered[0] >= young:
                taken[stream] = remembered[1]
        return taken

    def put(self, rows: Iterable[CurrentPreferences]) -> None:
        now = self._clock()
        for row in rows:
            self._rows[row.stream] = now, row
            if len(self._rows) > self._most:
                self._rows.popitem(last=False)
