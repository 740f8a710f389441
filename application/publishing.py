"""Publishing a catalogue, and reporting beforehand what the publishing would change."""

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
    """Counts of users without a choice, among the `users` who ever chose something.

    `by_path` counts, for each toggle, the users without a choice for it. `any` counts the users who lack at least one of
    these choices.
    """

    users: int
    by_path: Mapping[str, int]
    any: int


@dataclass(frozen=True, slots=True)
class Impact:
    """The effect of publishing catalogue `version` after the last one, which is `published`.

    `users` counts the users who ever chose something, `affected` those of them whose resolved preferences would change.
    `without_choice` counts, for each toggle whose default changes, those of them who get the new default.
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
        """False, and nothing is recorded, if the newest event of the stream is no longer `follows`."""
        ...

    async def unchosen(self, paths: Sequence[str]) -> Unchosen: ...


class Publishing:
    """`ulids` yields fresh ULIDs: one for the event, and one for the request id of the publishing."""

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
            # Another process may publish at the same moment. Then decide again, starting from its catalogue.
            if event is None or await self._log.append(event, follows=published.newest):
                return event

    async def impact(self, catalogue: Catalogue) -> Impact:
        """The changes that publishing `catalogue` would make. Publishes nothing. Raises `CatalogueRefused` if publishing would."""
        published = await self._log.published()
        published.publishing(catalogue, at=self._clock(), event_id="", request_id="")
        newest = published.newest
        altered = alterations(catalogue_of(newest) if newest else None, catalogue)
        defaults = [alteration.path for alteration in altered if alteration.default_changed]
        unchosen = await self._log.unchosen(defaults)
        # The first catalogue was in force even before it was published, so the first publishing changes no answer.
        reshaped = newest is not None and any(alteration.answer_reshaped for alteration in altered)
        affected = unchosen.users if reshaped else unchosen.any
        return Impact(catalogue.version, newest, altered, unchosen.users, affected, unchosen.by_path)
