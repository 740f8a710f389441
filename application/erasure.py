"""Erasing a person: the key goes, and with it who acted; the log, its order and the opt-outs stay."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from application.ports import Append
from application.preferences.draft import Draft
from domain.catalogue import Catalogue
from domain.preferences import stream_id
from domain.provenance import ERASED, Provenance, Source
from projections.current_preferences import CurrentPreferences


class Erasing(Protocol):
    """One attempt, as a whole: what is done within takes effect together, or not at all."""

    async def destroy_key(self, stream: UUID) -> bool:
        """False if there is none: this person never chose anything, or was erased before."""
        ...

    async def current(self, stream: UUID) -> CurrentPreferences: ...

    async def append(self, append: Append) -> bool:
        """False if the stream has moved on meanwhile."""
        ...

    async def blank_projections(self, stream: UUID) -> int:
        """Take the person out of whatever is kept beside the log; how many places named them."""
        ...

    async def in_the_open(self, stream: UUID) -> int:
        """How many events of the stream say who acted without being sealed: those older than sealing."""
        ...


class Erasures(Protocol):
    def attempt(self) -> AbstractAsyncContextManager[Erasing]: ...


class MovedOn(Exception):
    """The stream was appended to while its person was being erased. Nothing took effect; try again."""


class Erased(NamedTuple):
    """`destroyed`: there was a key, and it is gone. `blanked`: places beside the log that named the person.
    `in_the_open`: events that an erasure can't reach."""

    destroyed: bool
    blanked: int
    in_the_open: int


class Erasure:
    """`event_ids` yields fresh ULIDs, `clock` tells the time in UTC."""

    def __init__(
        self, erasures: Erasures, catalogue: Catalogue, event_ids: Iterator[str], clock: Callable[[], datetime]
    ) -> None:
        self._erasures = erasures
        self._catalogue = catalogue
        self._event_ids = event_ids
        self._clock = clock

    async def erase(self, organization: str | None, user: str) -> Erased:
        """Erase a user of an organization. A second time changes nothing, and records nothing."""
        while True:
            try:
                return await self._attempt(organization, stream_id(organization, user))
            except MovedOn:
                continue

    async def _attempt(self, organization: str | None, stream: UUID) -> Erased:
        async with self._erasures.attempt() as erasing:
            in_the_open = await erasing.in_the_open(stream)
            # Whoever never chose anything may have read, and is named for that.
            blanked = await erasing.blank_projections(stream)
            if not await erasing.destroy_key(stream):
                return Erased(False, blanked, in_the_open)
            draft = Draft(stream, await erasing.current(stream))
            draft.erase(self._provenance(organization), self._event_ids)
            if not await erasing.append(draft.append(None)):
                raise MovedOn
            return Erased(True, blanked, in_the_open)

    def _provenance(self, organization: str | None) -> Provenance:
        return Provenance(
            actor=ERASED,
            organization=organization,
            source=Source.ADMIN,
            request_id=next(self._event_ids),
            occurred_at=self._clock(),
            catalogue_version=self._catalogue.version,
        )
