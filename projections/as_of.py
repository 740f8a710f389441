"""What a user's preferences were at an instant, and what each of them rested on."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from domain.catalogue import Catalogue, Choices, Resolved
from domain.isolation import ShownToggled


@dataclass(frozen=True)
class PreferencesAsOf:
    """`catalogue` was in force. `version` counts the events of the stream until then; `deciding` has the last choice for
    each toggle that there was one for, by path, also for those that the catalogue no longer has.
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
