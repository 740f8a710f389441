"""The record of reading: who looked at which data of others. If a reading can't be recorded, nothing is shown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from application.identity import OrganizationReader, Reader

READ: Final = "audit_reads.read"


@dataclass(frozen=True, slots=True)
class Reading:
    """`id` and `request_id` are ULIDs, `action` is a `noun.verb`, `at` is in UTC.

    `filter` is the reader's request, in the types of JSON. It names a user by the stream's id, so the only personal data in
    the record is its reader. Erasing the reader blanks that.
    """

    id: str
    at: datetime
    reader: Reader
    action: str
    filter: Mapping[str, Any]
    request_id: str


@dataclass(frozen=True, slots=True)
class ListedReading:
    """A recorded reading. `outcome` is `complete` or `aborted`. It is None if it is unknown how, or whether, the reading ended."""

    id: str
    at: datetime
    reader: str
    impersonator: str | None
    action: str
    filter: dict[str, Any]
    count: int | None
    outcome: str | None
    request_id: str


class ReadingsPage(NamedTuple):
    """Newest first. `next` is the id of the last reading shown, None on the last page."""

    readings: Sequence[ListedReading]
    next: str | None


class AuditReads(Protocol):
    """Every method raises `Unavailable` while readings can't be recorded. Then nothing may be shown."""

    async def record(self, reading: Reading, count: int) -> None:
        """Record a reading of `count` entries. They may be shown after this returns."""
        ...

    async def begin(self, reading: Reading) -> None:
        """Record the start of a long reading, before its first entry is shown."""
        ...

    async def end(self, reading_id: str, count: int, *, complete: bool) -> None:
        """Record how a reading that was begun has ended: after `count` entries, complete or aborted."""
        ...

    async def list(self, organization: str | None, *, limit: int, before: str | None = None) -> Sequence[ListedReading]:
        """The readings in one organization, or those without an organization, newest first; only ids below `before`."""
        ...


class Readings:
    """Records the readings of a use case. `ids` yields fresh ULIDs."""

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
        """Record a reading before its `count` entries are shown. Raises `Unavailable`: then they must not be shown."""
        await self._reads.record(self._reading(reader, action, asked, request_id), count)

    async def begin(self, reader: Reader, action: str, asked: Mapping[str, Any], *, request_id: str) -> str:
        """Record the start of a long reading, before its first entry is shown. Returns the reading's id. Raises `Unavailable`."""
        reading = self._reading(reader, action, asked, request_id)
        await self._reads.begin(reading)
        return reading.id

    async def end(self, reading_id: str, count: int, *, complete: bool) -> None:
        await self._reads.end(reading_id, count, complete=complete)

    def _reading(self, reader: Reader, action: str, asked: Mapping[str, Any], request_id: str) -> Reading:
        return Reading(next(self._ids), self._clock(), reader, action, asked, request_id)


class RecordOfReading:
    """The record, as a reader of the organization sees it. Looking at it is itself recorded."""

    def __init__(self, reads: AuditReads, readings: Readings) -> None:
        self._reads = reads
        self._readings = readings

    async def page(
        self, reader: OrganizationReader, *, limit: int, request_id: str, before: str | None = None
    ) -> ReadingsPage:
        # One reading more than requested shows whether there is another page.
        found = await self._reads.list(reader.organization, limit=limit + 1, before=before)
        shown = found[:limit]
        asked = {"limit": limit, **({"after": before} if before is not None else {})}
        await self._readings.record(reader, READ, asked, count=len(shown), request_id=request_id)
        return ReadingsPage(shown, shown[-1].id if len(found) > limit else None)
