"""The input and the result of the use cases."""

from collections.abc import Callable
from typing import NamedTuple, Self, TypeAlias
from uuid import UUID

from domain.catalogue import Choices
from domain.provenance import Provenance
from projections.current_preferences import CurrentPreferences


class State(NamedTuple):
    """The state of a stream. Version 0 means that the user never chose anything."""

    stream: UUID
    version: int
    choices: Choices

    @classmethod
    def of(cls, stream: UUID, row: CurrentPreferences | None) -> Self:
        return cls(stream, row.version, row.choices) if row else cls(stream, 0, {})


Precondition: TypeAlias = Callable[[State], bool]


class Change(NamedTuple):
    """A request to record `requested`. With a `precondition`, only if the current state meets it."""

    stream: UUID
    requested: Choices
    provenance: Provenance
    precondition: Precondition | None = None
