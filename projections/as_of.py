"""A user's preferences at an instant, and the event behind each of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from domain.catalogue import Catalogue, Choices, Resolved, Words, path
from domain.isolation import ShownToggled
from domain.published_catalogues import PublishedCatalogues


@dataclass(frozen=True)
class PreferencesAsOf:
    """`catalogue` was in force at the instant. `version` counts the stream's events up to it. `deciding` has, by path, the last choice of
    each toggle that the user chose, also for toggles that the catalogue no longer has. `published` has every catalogue.
    """

    catalogue: Catalogue
    version: int
    deciding: dict[str, ShownToggled]
    published: PublishedCatalogues

    @classmethod
    def of(
        cls, catalogue: Catalogue, version: int, deciding: Iterable[ShownToggled], published: PublishedCatalogues
    ) -> "PreferencesAsOf":
        return cls(catalogue, version, {event.path: event for event in deciding}, published)

    def words(self, channel: str, toggle: str) -> Words | None:
        """What the user was told: by the catalogue that was shown when the choice was made, or else by the one in force at the instant.
        None if it had no words, or was never published.
        """
        choice = self.deciding.get(path(channel, toggle))
        told_by = choice.catalogue_version if choice else self.catalogue.version
        return self.published.words(told_by, channel, toggle)

    @cached_property
    def choices(self) -> Choices:
        return {path: event.enabled for path, event in self.deciding.items()}

    @cached_property
    def resolved(self) -> Resolved:
        return self.catalogue.resolve(self.choices)
