"""Rows that were read or written lately. A change is decided from such a guess; the append checks its content and refuses a wrong one."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final
from uuid import UUID

from projections.current_preferences import CurrentPreferences

SERVES: Final = 10.0
"""Seconds for which a row, with the person's key in it, is remembered. People take some seconds from looking to choosing, and from
choice to choice. If another process has changed the row meanwhile, the guess costs one round trip more than reading the row would."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds without guesses after a wrong one. It means that another process changes the same users. The next pause is twice as long."""

PROVEN: Final = 1_000
"""So many right guesses in a row make the next pause short again."""


class RememberedRows:
    """At most `most` rows, each for `SERVES` seconds of the `clock`. The oldest row is dropped first. An old row leaves memory when the
    next one comes.

    A row is handed out once. If the append proves the row, the caller puts its successor in. If not, the row is gone, so
    a wrong guess can't mislead twice.
    """

    def __init__(self, most: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._rows: OrderedDict[UUID, tuple[float, CurrentPreferences]] = OrderedDict()
        self._pause = FIRST_PAUSE
        self._paused_until = 0.0
        self._proven = 0

    def take(self, streams: Iterable[UUID]) -> dict[UUID, CurrentPreferences]:
        """The remembered rows of these streams. They are forgotten here."""
        young = self._clock() - SERVES
        taken = {}
        for stream in streams:
            remembered = self._rows.pop(stream, None)
            if remembered is not None and remembered[0] >= young:
                taken[stream] = remembered[1]
        return taken

    def put(self, rows: Iterable[CurrentPreferences]) -> None:
        now = self._clock()
        if now < self._paused_until:
            return
        for row in rows:
            self._rows[row.stream] = now, row
            self._rows.move_to_end(row.stream)
        while len(self._rows) > self._most or (self._rows and next(iter(self._rows.values()))[0] < now - SERVES):
            self._rows.popitem(last=False)

    def judge(self, proven: int, refuted: int) -> None:
        """How many guesses of a batch were right, and how many were wrong. A single wrong one costs the whole batch a round trip."""
        if refuted:
            self._rows.clear()
            self._paused_until = self._clock() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._proven = 0
        else:
            self._proven += proven
            if self._proven >= PROVEN:
                self._pause = FIRST_PAUSE
