"""A user's preferences at an instant, and the event behind each of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from domain.catalogue import Catalogue, Choices, Resolved
from domain.isolation import ShownToggled


@dataclass(frozen=True)
class PreferencesAsOf:
    """`catalogue` was in force at the instant. `version` counts the stream's events up to it. `deciding` has, by path, the last choice of
    each toggle that the user chose, also for toggles that the catalogue no longer has.
    """

    catalogue: Catalogue
    version: int
    deciding: dict[str, ShownToggled]

    @classmethod
    def of(cls, catalogue: Catalogue, version: int, deciding: Iterable[ShownToggled]) -> "PreferencesAsOf":
        return cls(catalogue, version, {event.path: event for event in deciding})

    @cached_property
    def choices(self) -> Choices:
        return {path: event.enabled for path, event in self.deciding.items()}

    @cached_property
    def resolved(self) -> Resolved:
        return self.catalogue.resolve(self.choices)
