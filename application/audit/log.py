"""The audit log of an organization, page by page or all of it as a stream. Every reading is recorded, with its reader."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, Protocol

from application.audit.filter import AuditFilter
from application.audit.reads import Readings
from application.identity import OrganizationReader
from application.log import BrokenStream, Cleared, Recorded, cleared
from domain.errors import ValidationFailed
from domain.events import CommonEvent, NotificationToggled, PreferencesErased
from domain.isolation import Audience
from projections.audit_log import AuditEntry, audit_entry

READ: Final = "audit_log.read"
EXPORT: Final = "audit_log.export"

INDEX: Final = "the audit log's index"

CHUNK: Final = 1000
"""Entries that an export fetches at once. This bounds its memory."""


class EntryPosition(NamedTuple):
    """The place of an entry in the audit log. Entries are ordered by time and then by position in the log."""

    occurred_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class AuditStart:
    """The entry after which the page starts: its position, and its id. The id proves that it is from this audit log."""

    position: int
    id: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`next` is None on the last page. The audit log has every event that was recorded until `complete_until` and meets the filter."""

    entries: list[AuditEntry]
    next: AuditStart | None
    complete_until: datetime | None


class IndexProgress(NamedTuple):
    """How far the index is: it has every event up to `position`, and therefore every event before the time `complete_until`.

    If the index has the whole log, `complete_until` is the database's time. If the index is behind, it is the earliest of these:
    the database's time, the time of the last event in the index, and the times of the first thousand missing events. An event of
    exactly that time may be missing; an earlier one can't be. None: the index never took in an event, or the time is unknown.
    """

    position: int
    complete_until: datetime | None


class Export(NamedTuple):
    """If the entries come to their end, they contain every event that was recorded until `complete_until` and meets the filter."""

    entries: AsyncGenerator[list[AuditEntry], None]
    complete_until: datetime | None


class AuditIndex(Protocol):
    """Every method raises `Unavailable` while the database can't be reached."""

    async def newest(
        self, organization: str, wanted: AuditFilter, *, before: EntryPosition | None, limit: int, at_least: int = 0
    ) -> Sequence[Recorded]:
        """The newest events of an organization that meet the filter and are older than `before`, newest first.

        Raises `BrokenStream` if the log lacks one of them. Raises `Unavailable` if the index, at the moment of reading, doesn't
        reach the position `at_least`: an operator has reset it, and it has less than was promised.
        """
        ...

    async def count(self, organization: str, wanted: AuditFilter) -> int:
        """How many events meet the filter. The more there are, the longer it takes."""
        ...

    async def at(self, position: int) -> Recorded | None:
        """The event at exactly this position of the log."""
        ...

    async def complete_until(self) -> IndexProgress: ...


class AuditLog:
    def __init__(self, index: AuditIndex, readings: Readings, chunk: int = CHUNK) -> None:
        self._index = index
        self._readings = readings
        self._chunk = chunk
        self._ending: set[asyncio.Task[None]] = set()

    async def page(
        self,
        reader: OrganizationReader,
        wanted: AuditFilter,
        *,
        limit: int,
        request_id: str,
        after: AuditStart | None = None,
        payload: bool = False,
    ) -> AuditPage:
        """Up to `limit` entries, newest first. Raises `ValidationFailed` if `after` isn't an entry of this organization."""
        before = await self._place(reader.organization, after) if after else None
        # Read the progress before the page: if the index moves on in between, the page has more than is promised, never less.
        reached, complete_until = await self._index.complete_until()
        # One entry more than requested shows whether there is another page.
        found = await self._newest(reader.organization, wanted, before=before, limit=limit + 1, at_least=reached)
        shown = found[:limit]
        asked = {**wanted.as_recorded(), "limit": limit, **_shown_too(payload=payload)}
        if before is not None:
            asked["after"] = before.position
        await self._readings.record(reader, READ, asked, count=len(shown), request_id=request_id)
        more = AuditStart(shown[-1].position, shown[-1].event.event_id) if len(found) > limit else None
        return AuditPage(_entries(shown), more, complete_until)

    async def export(
        self, reader: OrganizationReader, wanted: AuditFilter, *, form: str, request_id: str, payload: bool = False
    ) -> Export:
        """All entries, newest first, in chunks. A request that must be refused is refused here, before the first entry.

        The generator raises `Unavailable` or `BrokenStream` if it can't get more entries: the export is then incomplete.

        The export holds no connection and no transaction between two chunks, so a reader may be slow. Closing the generator
        early aborts the export, and the record of reading says so.
        """
        asked = {**wanted.as_recorded(), "format": form, **_shown_too(payload=payload)}
        reading = await self._readings.begin(reader, EXPORT, asked, request_id=request_id)
        try:
            reached, complete_until = await self._index.complete_until()
            read = partial(self._newest, reader.organization, wanted, limit=self._chunk, at_least=reached)
            first = await read(before=None)
        except BaseException:
            self._abort(reading, 0)
            raise
        return Export(self._chunks(reading, first, read), complete_until)

    async def complete_until(self) -> datetime | None:
        """The `complete_until` that an export would have now. This reads no entries, so no reading is recorded."""
        return (await self._index.complete_until()).complete_until

    async def close(self) -> None:
        """Wait until the end of every aborted export is recorded."""
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _chunks(
        self, reading: str, chunk: Sequence[Cleared], read: Callable[..., Awaitable[Sequence[Cleared]]]
    ) -> AsyncGenerator[list[AuditEntry], None]:
        count = 0
        complete = False
        try:
            while chunk:
                count += len(chunk)
                yield _entries(chunk)
                last = EntryPosition(chunk[-1].event.timestamp, chunk[-1].position)
                if len(chunk) < self._chunk:
                    break
                chunk = await read(before=last)
            # Record the end before the reader sees the end: if it can't be recorded, the export must fail.
            await self._readings.end(reading, count, complete=True)
            complete = True
        finally:
            if not complete:
                self._abort(reading, count)

    async def _newest(
        self, organization: str, wanted: AuditFilter, *, before: EntryPosition | None, limit: int, at_least: int
    ) -> list[Cleared]:
        """The events that the index finds, newest first. Each is checked to belong to the organization and to meet the filter.

        Raises `ForeignEvent` for an event of another organization, and `BrokenStream` if the index is wrong about an event of
        this one.
        """
        found = await self._index.newest(organization, wanted, before=before, limit=limit, at_least=at_least)
        shown = [*cleared(found, Audience.of_organization(organization, INDEX))]
        above = before
        for position, event in shown:
            place = EntryPosition(event.timestamp, position)
            if not wanted.fits(event) or (above is not None and place >= above):
                raise BrokenStream(f"{INDEX} has the event at position {position} in the wrong place")
            above = place
        return shown

    def _abort(self, reading: str, count: int) -> None:
        # In a task of its own: a cancelled task can't await anything any more.
        task = asyncio.create_task(self._readings.end(reading, count, complete=False))
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        with suppress(asyncio.CancelledError):
            # Retrieving the exception keeps asyncio from logging it. If the end couldn't be recorded, the record has no end.
            task.exception()

    async def _place(self, organization: str, start: AuditStart) -> EntryPosition:
        recorded = await self._index.at(start.position)
        if (
            recorded is None
            or isinstance(recorded.event, CommonEvent)
            or recorded.event.event_id != start.id
            or recorded.event.organization != organization
        ):
            raise ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
        return EntryPosition(recorded.event.timestamp, recorded.position)


def _shown_too(*, payload: bool) -> dict[str, bool]:
    return {"payload": True} if payload else {}


def _entries(shown: Sequence[Cleared]) -> list[AuditEntry]:
    return [audit_entry(event) for _, event in shown if isinstance(event, NotificationToggled | PreferencesErased)]
