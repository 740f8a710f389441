"""The record of reading: who looked at what of others. What can't be recorded is not shown."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from application.identity import Reader


@dataclass(frozen=True, slots=True)
class Reading:
    """`id` and `request_id` are ULIDs, `action` is a `noun.verb`, `at` is in UTC.

    `filter` says what was asked for, in JSON's own types, with a stream's id wherever a user is meant: the record has
    nothing personal in it but its reader, and erasing the reader blanks that.
    """

    id: str
    at: datetime
    reader: Reader
    action: str
    filter: Mapping[str, Any]
    request_id: str


class AuditReads(Protocol):
    """Every method raises `Unavailable` while nothing can be recorded; then nothing may be shown either."""

    async def record(self, reading: Reading, count: int) -> None:
        """A reading of so many entries, which are shown once this has returned."""
        ...

    async def begin(self, reading: Reading) -> None:
        """A reading that takes its time: recorded before anything is shown."""
        ...

    async def end(self, reading_id: str, count: int, *, complete: bool) -> None:
        """How a reading ended that was begun: after so many entries, complete or aborted."""
        ...


class Readings:
    """What a use case records its readings with. `ids` yields fresh ULIDs."""

    def __init__(self, reads: AuditReads, ids: Iterator[str], clock: Callable[[], datetime]) -> None:
        self._reads = reads
        self._ids = ids
        self._clock = clock

    async def record(
        self,
        reader: Reader,
        action: str,
        asked: Mapping[str, Any],
        *,
        count: int,
        request_id: str,
    ) -> None:
        """Before so many entries are shown. Raises `Unavailable`: then they must not be."""
        await self._reads.record(self._reading(reader, action, asked, request_id), count)

    async def begin(self, reader: Reader, action: str, asked: Mapping[str, Any], *, request_id: str) -> str:
        """Before the first entry of many is shown; the reading's id. Raises `Unavailable`."""
        reading = self._reading(reader, action, asked, request_id)
        await self._reads.begin(reading)
        return reading.id

    async def end(self, reading_id: str, count: int, *, complete: bool) -> None:
        await self._reads.end(reading_id, count, complete=complete)

    def _reading(self, reader: Reader, action: str, asked: Mapping[str, Any], request_id: str) -> Reading:
        return Reading(next(self._ids), self._clock(), reader, action, asked, request_id)
