"""How many choices an organization's users switched on and off on each day. Every reading is recorded, with its reader."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple, Protocol

from application.audit.filter import AuditFilter
from application.audit.log import INDEX, IndexProgress
from application.audit.reads import Readings
from application.identity import OrganizationReader
from application.log import BrokenStream, Recorded, cleared
from domain.errors import ValidationFailed
from domain.events import NotificationToggled
from domain.isolation import Audience

SUMMARY: Final = "audit_log.summary"

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)
LONGEST: Final = timedelta(days=366)
"""The longest time that one answer covers. This bounds its size, and the time for which encoding it keeps other requests waiting."""


class DayCount(NamedTuple):
    """Choices of one UTC day for a toggle from one source: how many switched it on, and how many off. `day` is an ISO date."""

    day: str
    channel: str
    toggle: str
    source: str
    opt_ins: int
    opt_outs: int


@dataclass(frozen=True, slots=True)
class CountedClass:
    """The kind of choice that a class of the index says it counts, and the positions of its first and last entry in the time asked for.

    A position is None if the class has a count and no entry.
    """

    channel: str
    toggle: str
    source: str
    enabled: bool
    oldest: int | None
    newest: int | None


class DailyCounts(NamedTuple):
    """`witnesses` are the events at the positions that `classes` name."""

    days: list[DayCount]
    classes: Sequence[CountedClass]
    witnesses: Sequence[Recorded]


class Summary(NamedTuple):
    """The counts cover every event that was recorded until `complete_until`, occurred from `since` on and before `until`, and meets the
    filter.
    """

    days: list[DayCount]
    since: datetime
    until: datetime
    complete_until: datetime | None


class DailyIndex(Protocol):
    """Every method raises `Unavailable` while the database can't be reached."""

    async def by_day(
        self, organization: str, wanted: AuditFilter, since: datetime, until: datetime, *, at_least: int
    ) -> DailyCounts:
        """The counts of an organization, ordered by day, channel, toggle and source.

        Raises `BrokenStream` if the log lacks a witness. Raises `Unavailable` if the index doesn't reach the position `at_least`.
        """
        ...

    async def complete_until(self) -> IndexProgress: ...


class AuditSummary:
    def __init__(self, index: DailyIndex, readings: Readings, clock: Callable[[], datetime]) -> None:
        self._index = index
        self._readings = readings
        self._clock = clock

    async def by_day(self, reader: OrganizationReader, wanted: AuditFilter, *, form: str, request_id: str) -> Summary:
        """The summary of the reader's organization. Without `until` it goes to the end of the present day, without `since` it begins a year
        earlier.

        Raises `ValidationFailed` for a time that is longer than `LONGEST`.
        """
        since, until = self._asked(wanted)
        # Read the progress before the counts: if the index moves on in between, they have more than is promised, never less.
        reached, complete_until = await self._index.complete_until()
        found = await self._index.by_day(reader.organization, wanted, since, until, at_least=reached)
        _verify(reader.organization, replace(wanted, since=since, until=until), found)
        asked = {**wanted.as_recorded(), "since": since.isoformat(), "until": until.isoformat(), "format": form}
        await self._readings.record(reader, SUMMARY, asked, count=len(found.days), request_id=request_id)
        return Summary(found.days, since, until, complete_until)

    def _asked(self, wanted: AuditFilter) -> tuple[datetime, datetime]:
        until = wanted.until
        if until is None:
            today = self._clock().astimezone(UTC).date()
            until = datetime.combine(today + timedelta(days=1), time(), UTC)
            until = max(until, wanted.since or until)
        since = wanted.since or until - min(YEAR, until - BEGINNING)
        if until - since > LONGEST:
            raise ValidationFailed(details={"since": f"must be at most {LONGEST.days} days before until"})
        return since, until


def _verify(organization: str, wanted: AuditFilter, found: DailyCounts) -> None:
    """Check that each class counts what it says, by its first and its last event. The index itself is not trusted.

    Raises `ForeignEvent` for an event of another organization, and `BrokenStream` for another kind of choice, or for none.
    """
    events = dict(cleared(found.witnesses, Audience.of_organization(organization, INDEX)))
    for counted in found.classes:
        for position in (counted.oldest, counted.newest):
            event = events.get(position) if position is not None else None
            if event is None:
                raise BrokenStream(
                    f"{INDEX} counts choices of {counted.channel}.{counted.toggle} that it has no entry of"
                )
            if not (
                isinstance(event, NotificationToggled)
                and wanted.fits(event)
                and (event.channel, event.toggle) == (counted.channel, counted.toggle)
                and (event.source, event.enabled) == (counted.source, counted.enabled)
            ):
                raise BrokenStream(f"{INDEX} has the event at position {position} in the wrong place")
