"""The audit log of an organization: page by page, or all of it as a stream. Whoever reads it is recorded."""

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
from application.isolation import Cleared, cleared
from application.ports import Recorded
from application.rebuild import BrokenStream
from domain.errors import ValidationFailed
from domain.events import CommonEvent, NotificationToggled, PreferencesErased
from domain.isolation import Audience
from projections.audit_log import AuditEntry, audit_entry

READ: Final = "audit_log.read"
EXPORT: Final = "audit_log.export"

INDEX: Final = "the audit log's index"

CHUNK: Final = 1000
"""Entries that an export fetches at once: what bounds its memory."""


class Place(NamedTuple):
    """An entry's place in the feed, which goes by time and then by position in the log."""

    occurred_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class AuditStart:
    """Continue behind this entry: its position, and its id, which proves that it is from this feed."""

    position: int
    id: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`next` is None on the last page. Every event recorded until `complete_until` is in the feed, if it fits."""

    entries: list[AuditEntry]
    next: AuditStart | None
    complete_until: datetime | None


class Reach(NamedTuple):
    """How far the index is: the position in the log up to which it has taken everything in, and the time before which it
    therefore has every event.

    Where it has all that there is, that is the database's time. Where it is behind, it is the earliest of the database's time and
    of what the last event in it and the first thousand that are missing say of themselves: an event of that very time may be
    missing, an earlier one isn't. None: nothing was ever taken in, or nobody can say.
    """

    position: int
    complete_until: datetime | None


class Export(NamedTuple):
    """Every event recorded until `complete_until` is among the entries, if it fits and they come to their end."""

    entries: AsyncGenerator[list[AuditEntry], None]
    complete_until: datetime | None


class AuditIndex(Protocol):
    """Every method raises `Unavailable` while the database can't be reached."""

    async def newest(
        self, organization: str, wanted: AuditFilter, *, before: Place | None, limit: int, at_least: int = 0
    ) -> Sequence[Recorded]:
        """The newest events of an organization that fit and stand behind a place, in the order of the feed.

        Raises `BrokenStream` where the log lacks one of them, and `Unavailable` where the index, as it was read, has not
        come as far as the position `at_least`: it was set back, and has less than was promised.
        """
        ...

    async def count(self, organization: str, wanted: AuditFilter) -> int:
        """How many events fit. It takes longer the more there are."""
        ...

    async def at(self, position: int) -> Recorded | None:
        """The event at this very position of the log."""
        ...

    async def complete_until(self) -> Reach:
        """How far the index is."""
        ...


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
        """Up to `limit` entries, newest first. Raises `ValidationFailed` for a start that isn't of this organization."""
        before = await self._place(reader.organization, after) if after else None
        # Before the page is read: an index that moves on meanwhile holds more than is promised, never less.
        reached, complete_until = await self._index.complete_until()
        # One more than asked for tells whether there is another page.
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
        """All entries, newest first, some at a time. What can be refused is refused here, before the first is given.

        To go through them raises `Unavailable` or `BrokenStream` where no more of them can be had: what was given until
        then is not all.

        No connection and no transaction is held between two chunks, so a reader may be as slow as it likes. To close the
        generator early is to abort the export, and recorded as such.
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
        """What an export would promise now. Nothing of the log is read for it, so no reading is recorded."""
        return (await self._index.complete_until()).complete_until

    async def close(self) -> None:
        """Finish recording how exports ended."""
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
                last = Place(chunk[-1].event.timestamp, chunk[-1].position)
                if len(chunk) < self._chunk:
                    break
                chunk = await read(before=last)
            # Before the reader is told that this was all: an export whose end isn't recorded doesn't end well.
            await self._readings.end(reading, count, complete=True)
            complete = True
        finally:
            if not complete:
                self._abort(reading, count)

    async def _newest(
        self, organization: str, wanted: AuditFilter, *, before: Place | None, limit: int, at_least: int
    ) -> list[Cleared]:
        """What the index leads to, if it is the organization's and what was asked for, newest first. Raises `ForeignEvent`, and
        `BrokenStream` where the index is wrong about the organization's own events."""
        found = await self._index.newest(organization, wanted, before=before, limit=limit, at_least=at_least)
        shown = [*cleared(found, Audience.of_organization(organization, INDEX))]
        above = before
        for position, event in shown:
            place = Place(event.timestamp, position)
            if not wanted.fits(event) or (above is not None and place >= above):
                raise BrokenStream(f"{INDEX} has the event at position {position} in the wrong place")
            above = place
        return shown

    def _abort(self, reading: str, count: int) -> None:
        # In a task of its own: where we are cancelled, nothing can be awaited any more.
        task = asyncio.create_task(self._readings.end(reading, count, complete=False))
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # Asked for, it isn't logged as an oversight: without a known end, the record says just that.

    async def _place(self, organization: str, start: AuditStart) -> Place:
        recorded = await self._index.at(start.position)
        if (
            recorded is None
            or isinstance(recorded.event, CommonEvent)
            or recorded.event.event_id != start.id
            or recorded.event.organization != organization
        ):
            raise ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
        return Place(recorded.event.timestamp, recorded.position)


def _shown_too(*, payload: bool) -> dict[str, bool]:
    return {"payload": True} if payload else {}


def _entries(shown: Sequence[Cleared]) -> list[AuditEntry]:
    return [audit_entry(event) for _, event in shown if isinstance(event, NotificationToggled | PreferencesErased)]
