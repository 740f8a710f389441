"""An audit log in memory, and a record of reading that can be told to fail."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from application.audit.filter import AuditFilter
from application.audit.log import AuditIndex, EntryPosition, IndexProgress
from application.audit.reads import AuditReads, ListedReading, Reading
from application.identity import OrganizationReader
from application.log import Recorded
from domain.errors import Unavailable
from projections.audit_log import Action
from tests.support.events import NOON
from tests.support.index_rows import index_row

AUDITOR = OrganizationReader("org_math", "user:user_grace")


def fits(recorded: Recorded, organization: str, wanted: AuditFilter) -> bool:
    """What the index must find, said as plainly as it can be."""
    row = index_row(recorded.event)
    return (
        row is not None
        and row.of.organization == organization
        and row.of.action in [*Action]
        and wanted.action in (None, row.of.action)
        and wanted.stream in (None, row.stream)
        and wanted.actor_kind in (None, row.of.actor_kind)
        and wanted.channel in (None, row.of.channel)
        and wanted.toggle in (None, row.of.toggle)
        and (wanted.enabled is None or wanted.enabled is row.of.enabled)
        and wanted.source in (None, row.of.source)
        and (wanted.since is None or row.occurred_at >= wanted.since)
        and (wanted.until is None or row.occurred_at < wanted.until)
    )


def place(recorded: Recorded) -> EntryPosition:
    return EntryPosition(recorded.event.timestamp, recorded.position)


def newest_first(
    log: Sequence[Recorded], organization: str, wanted: AuditFilter, before: EntryPosition | None = None
) -> list[Recorded]:
    found = [recorded for recorded in log if fits(recorded, organization, wanted)]
    return sorted([one for one in found if before is None or place(one) < before], key=place, reverse=True)


class MemoryAuditLog(AuditIndex):
    """`breaks_after` reads it is unavailable. `reached` is the position that it stands at."""

    def __init__(self, *log: Recorded, breaks_after: int | None = None) -> None:
        self.log = [*log]
        self.breaks_after = breaks_after
        self.reached = max((recorded.position for recorded in log), default=0)

    async def newest(
        self, organization: str, wanted: AuditFilter, *, before: EntryPosition | None, limit: int, at_least: int = 0
    ) -> list[Recorded]:
        if self.breaks_after is not None:
            self.breaks_after -= 1
            if self.breaks_after < 0:
                raise Unavailable("gone")
        if self.reached < at_least:
            raise Unavailable("set back")
        return newest_first(self.log, organization, wanted, before)[:limit]

    async def count(self, organization: str, wanted: AuditFilter) -> int:
        return len(newest_first(self.log, organization, wanted))

    async def at(self, position: int) -> Recorded | None:
        return next((recorded for recorded in self.log if recorded.position == position), None)

    async def complete_until(self) -> IndexProgress:
        return IndexProgress(self.reached, NOON)


class MemoryAuditReads(AuditReads):
    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.readings: dict[str, tuple[Reading, Any]] = {}

    async def record(self, reading: Reading, count: int) -> None:
        self._put(reading.id, reading, (count, "complete"))

    async def begin(self, reading: Reading) -> None:
        self._put(reading.id, reading, None)

    async def end(self, reading_id: str, count: int, *, complete: bool) -> None:
        self._put(reading_id, self.readings[reading_id][0], (count, "complete" if complete else "aborted"))

    @override
    async def list(self, organization: str | None, *, limit: int, before: str | None = None) -> list[ListedReading]:
        found = [
            ListedReading(
                one.id,
                one.at,
                one.reader.label,
                one.reader.impersonator,
                one.action,
                dict(one.filter),
                *(outcome or (None, None)),
                one.request_id,
            )
            for one, outcome in self.readings.values()
            if one.reader.organization == organization and (before is None or one.id < before)
        ]
        return sorted(found, key=lambda reading: reading.id, reverse=True)[:limit]

    def _put(self, reading_id: str, reading: Reading, outcome: Any) -> None:
        if self.broken:
            raise Unavailable("nothing can be recorded")
        self.readings[reading_id] = (reading, outcome)
