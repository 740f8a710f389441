"""What goes in and comes out of the use cases."""

from collections.abc import Callable
from typing import NamedTuple, Self, TypeAlias
from uuid import UUID

from domain.catalogue import Choices
from domain.provenance import Provenance
from projections.current_preferences import CurrentPreferences


class State(NamedTuple):
    """What a stream stands at. Version 0 is a user who never chose."""

    stream: UUID
    version: int
    choices: Choices

    @classmethod
    def of(cls, stream: UUID, row: CurrentPreferences | None) -> Self:
        return cls(stream, row.version, row.choices) if row else cls(stream, 0, {})


Precondition: TypeAlias = Callable[[State], bool]


class Change(NamedTuple):
    """Record `requested`, provided that the state it is decided from meets `precondition`, if there is one."""

    stream: UUID
    requested: Choices
    provenance: Provenance
    precondition: Precondition | None = None
