"""One user of an organization, as others may see them: the preferences now or at any past instant, and the history."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from application.audit.reads import Readings
from application.identity import OrganizationReader
from application.preferences.history import History, Page, PageStart
from domain.errors import Unavailable, ValidationFailed
from domain.events import NotificationToggled
from domain.isolation import Audience
from domain.preferences import stream_id
from domain.published_catalogues import PublishedCatalogues
from projections.as_of import PreferencesAsOf

READ: Final = "user_preferences.read"
READ_HISTORY: Final = "user_history.read"

LATER_THAN_ANY_EVENT: Final = datetime.max.replace(tzinfo=UTC)
"""Later than any event."""


class HistoryAsOf(NamedTuple):
    """One user's stream up to an instant: its version, and the last choice for each toggle that the user chose for.

    `catalogues` are all catalogues. Everything is read as of the same moment.
    """

    version: int
    deciding: Sequence[NotificationToggled]
    catalogues: PublishedCatalogues


class Streams(Protocol):
    async def evidence(self, stream: UUID, until: datetime) -> HistoryAsOf:
        """The stream up to and including `until`; version 0 for a user who never chose. Raises `Unavailable`.

        Raises `BrokenStream` for a stream with a gap: an answer must never hide a missing event.
        """
        ...


class Users:
    """Each reading is recorded before its result is shown."""

    def __init__(self, streams: Streams, history: History, readings: Readings, clock: Callable[[], datetime]) -> None:
        self._streams = streams
        self._history = history
        self._readings = readings
        self._clock = clock

    async def preferences(
        self, reader: OrganizationReader, user: str, instant: datetime | None, *, explain: bool, request_id: str
    ) -> tuple[datetime, PreferencesAsOf]:
        """The user's preferences at `instant`, or now if it is None, together with the instant.

        Raises `ValidationFailed` for an instant in the future. For now, all recorded events count, even an event of another
        machine whose clock is ahead of ours. So the answer is the same one that the user gets.
        """
        now = self._clock()
        if instant is not None and instant > now:
            raise ValidationFailed(details={"as_of": "must not be in the future"})
        stream = stream_id(reader.organization, user)
        until = instant or LATER_THAN_ANY_EVENT
        version, deciding, catalogues = await self._streams.evidence(stream, until)
        audience = Audience.of_user(reader.organization, user, "the user's stream")
        shown = [audience.clear(event) for event in deciding]
        catalogue = catalogues.in_force(until)
        if catalogue is None:
            raise Unavailable("no catalogue is published")
        at = instant or now
        asked = {"resource_stream": str(stream), "as_of": at.isoformat(), "explain": explain}
        await self._readings.record(reader, READ, asked, count=1, request_id=request_id)
        return at, PreferencesAsOf.of(catalogue, version, shown, catalogues)

    async def history(
        self, reader: OrganizationReader, user: str, *, limit: int, request_id: str, after: PageStart | None = None
    ) -> Page:
        """A page of the user's history, newest first. Raises `ValidationFailed` if `after` isn't from this history."""
        stream = stream_id(reader.organization, user)
        page = await self._history.page(reader.organization, user, limit=limit, after=after)
        asked = {"resource_stream": str(stream), "limit": limit, **({"after": after.version} if after else {})}
        await self._readings.record(reader, READ_HISTORY, asked, count=len(page.entries), request_id=request_id)
        return page
