"""Erasing a person. The erasure destroys the key, so the actors can no longer be read. The log, its order and the choices stay."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from application.preferences.draft import Draft
from application.preferences.store import Append
from domain.catalogue import Catalogue
from domain.preferences import stream_id
from domain.provenance import ERASED, Provenance, Source
from projections.current_preferences import CurrentPreferences


class Erasing(Protocol):
    """One attempt at an erasure. All of its effects are committed together, or none is."""

    async def destroy_key(self, stream: UUID) -> bool:
        """False if there is no key: the person never chose anything, or was erased before."""
        ...

    async def current(self, stream: UUID) -> CurrentPreferences: ...

    async def append(self, append: Append) -> bool:
        """False if another writer has appended to the stream meanwhile."""
        ...

    async def erase_from_readings(self, stream: UUID) -> int:
        """Remove the person from all data that is kept beside the log. Returns how many places named the person."""
        ...

    async def count_unsealed_events(self, stream: UUID) -> int:
        """How many events of the stream name their actor unsealed. They are older than sealing."""
        ...


class Erasures(Protocol):
    def attempt(self) -> AbstractAsyncContextManager[Erasing]: ...


class MovedOn(Exception):
    """Another writer appended to the stream during the erasure. Nothing took effect; try again."""


class Erased(NamedTuple):
    """`destroyed`: there was a key, and it is destroyed. `readings_erased`: how many places beside the log named the person.
    `unsealed_events`: how many events name the person unsealed; an erasure can't change those."""

    destroyed: bool
    readings_erased: int
    unsealed_events: int


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
        """Erase a user of an organization. A second erasure changes nothing and records nothing."""
        while True:
            try:
                return await self._attempt(organization, stream_id(organization, user))
            except MovedOn:
                continue

    async def _attempt(self, organization: str | None, stream: UUID) -> Erased:
        async with self._erasures.attempt() as erasing:
            unsealed_events = await erasing.count_unsealed_events(stream)
            # Blank first: a user who never chose anything has no key, but the record of reading may name them.
            readings_erased = await erasing.erase_from_readings(stream)
            if not await erasing.destroy_key(stream):
                return Erased(False, readings_erased, unsealed_events)
            draft = Draft(stream, await erasing.current(stream))
            draft.erase(self._provenance(organization), self._event_ids)
            if not await erasing.append(draft.to_append(None)):
                raise MovedOn
            return Erased(True, readings_erased, unsealed_events)

    def _provenance(self, organization: str | None) -> Provenance:
        return Provenance(
            actor=ERASED,
            organization=organization,
            source=Source.ADMIN,
            request_id=next(self._event_ids),
            occurred_at=self._clock(),
            catalogue_version=self._catalogue.version,
        )
