"""Rows that were seen lately: a guess to decide from, which the append's version check proves or refuses."""

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from projections.current_preferences import CurrentPreferences


class RememberedRows:
    """At most `most` rows; the one put in first goes first.

    A row is handed out once. Whoever took it and saw it proven puts its successor in; who didn't, leaves nothing that
    could mislead a second time.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._rows: OrderedDict[UUID, CurrentPreferences] = OrderedDict()

    def take(self, streams: Iterable[UUID]) -> dict[UUID, CurrentPreferences]:
        """Those of these streams that are remembered, and from now on no longer are."""
        return {stream: row for stream in streams if (row := self._rows.pop(stream, None)) is not None}

    def put(self, rows: Iterable[CurrentPreferences]) -> None:
        for row in rows:
            self._rows[row.stream] = row
            if len(self._rows) > self._most:
                self._rows.popitem(last=False)
