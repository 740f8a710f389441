"""The history that a user sees of their own changes, page by page."""

from dataclasses import dataclass

from application.preferences.store import Changes
from domain.errors import ValidationFailed
from domain.isolation import Audience
from domain.preferences import stream_id
from projections.change_history import HistoryEntry, entry


@dataclass(frozen=True, slots=True)
class PageStart:
    """The entry after which the page starts: its version in the stream, and its id. The id proves that it is from this stream."""

    version: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is None on the last page."""

    entries: list[HistoryEntry]
    next: PageStart | None


class History:
    """Reads directly from the stream. A page costs the same in a long history as in a short one."""

    def __init__(self, store: Changes) -> None:
        self._store = store

    async def page(self, organization: str | None, user: str, *, limit: int, after: PageStart | None = None) -> Page:
        """Up to `limit` entries, newest first. Raises `ValidationFailed` if `after` isn't from this user's stream."""
        stream = stream_id(organization, user)
        # One entry more than requested shows whether there is another page. The start itself is read to check its id.
        extra = 1 if after is None else 2
        events = await self._store.changes(stream, up_to=after.version if after else None, limit=limit + extra)
        if after is not None:
            if not events or events[0].event_id != after.id:
                raise ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
            events = events[1:]
        audience = Audience.of_user(organization, user, "the user's history")
        entries = [entry(audience.clear(event)) for event in events[:limit]]
        more = len(events) > limit
        return Page(entries, PageStart(entries[-1].version, entries[-1].id) if more else None)
