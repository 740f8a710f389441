"""What can happen in a made-up year. Each act has its instant."""

from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from domain.catalogue import Catalogue, Choices
from domain.provenance import Source


class Choose(NamedTuple):
    """A user sets toggles. `support`: a person of the staff does it in the user's name."""

    at: datetime
    organization: str
    user: str
    requested: Choices
    source: Source
    support: str | None = None


class Erase(NamedTuple):
    at: datetime
    organization: str
    user: str


class Publish(NamedTuple):
    at: datetime
    catalogue: Catalogue


class Sign(NamedTuple):
    """A checkpoint of the log is signed."""

    at: datetime


class Look(NamedTuple):
    """An officer of the organization reads data of its users. `asked` is as in the record of reading, `shown` counts entries."""

    at: datetime
    organization: str
    officer: str
    action: str
    asked: dict[str, Any]
    shown: int


Act: TypeAlias = Choose | Erase | Look | Publish | Sign
