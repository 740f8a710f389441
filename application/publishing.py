"""Bringing a catalogue into force, and saying beforehand what that would change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.catalogue import Catalogue
from domain.catalogue_difference import Alteration, alterations
from domain.events import CataloguePublished
from domain.published_catalogues import PublishedCatalogues, catalogue_of


@dataclass(frozen=True, slots=True)
class Unchosen:
    """Of `users` who ever chose something, how many recorded no choice for a toggle: for each, and for any of them."""

    users: int
    by_path: Mapping[str, int]
    any: int


@dataclass(frozen=True, slots=True)
class Impact:
    """What publishing `version` after the one `published` last would change. `affected` is the number of those `users` whose resolved answer would be another.

    `without_choice`: for each toggle whose default changes, how many of them get the new one.
    """

    version: int
    published: CataloguePublished | None
    alterations: Sequence[Alteration]
    users: int
    affected: int
    without_choice: Mapping[str, int]


class CatalogueLog(Protocol):
    """The catalogue's stream in the log. Every method raises `Unavailable` while the database can't be reached."""

    async def published(self) -> PublishedCatalogues: ...

    async def append(self, event: CataloguePublished, *, follows: CataloguePublished | None) -> bool:
        """False, and nothing is recorded, if something else than `follows` is the newest one by now."""
        ...

    async def unchosen(self, paths: Sequence[str]) -> Unchosen: ...


class Publishing:
    """`ulids` yields fresh ULIDs, for the event and for the request, which is the publishing itself."""

    def __init__(self, log: CatalogueLog, ulids: Iterator[str], clock: Callable[[], datetime]) -> None:
        self._log = log
        self._ulids = ulids
        self._clock = clock

    async def publish(self, catalogue: Catalogue) -> CataloguePublished | None:
        """The event that was recorded; None if `catalogue` was the newest already. Raises `CatalogueRefused`."""
        while True:
            published = await self._log.published()
            event = published.publishing(
                catalogue, at=self._clock(), event_id=next(self._ulids), request_id=next(self._ulids)
            )
            # Somebody else may publish at the same moment; then it is decided anew, from what they published.
            if event is None or await self._log.append(event, follows=published.newest):
                return event

    async def impact(self, catalogue: Catalogue) -> Impact:
        """What publishing `catalogue` would change. Publishes nothing. Raises `CatalogueRefused` where it would."""
        published = await self._log.published()
        published.publishing(catalogue, at=self._clock(), event_id="", request_id="")
        newest = published.newest
        altered = alterations(catalogue_of(newest) if newest else None, catalogue)
        defaults = [alteration.path for alteration in altered if alteration.default_changed]
        unchosen = await self._log.unchosen(defaults)
        # Before the first publishing the first catalogue held: it changes nobody's answer.
        reshaped = newest is not None and any(alteration.answer_reshaped for alteration in altered)
        affected = unchosen.users if reshaped else unchosen.any
        return Impact(catalogue.version, newest, altered, unchosen.users, affected, unchosen.by_path)
