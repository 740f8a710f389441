"""Who changed something, when, from where, on whose behalf: what makes an event evidence."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, NotRequired, TypedDict


class Source(StrEnum):
    """Where a change came from. A closed list: a new one is a decision, since consumers branch on it."""

    DASHBOARD = "dashboard"
    API = "api"
    ONE_CLICK = "one_click"
    IMPORT = "import"
    ADMIN = "admin"
    SYSTEM = "system"


class Actor(TypedDict):
    """The personal part of an event, and all of it. One JSON value, so that it can be sealed per person as a whole.

    `user` is the one whose preferences these are, `impersonator` the one who acted in their name, if anybody did.
    """

    user: str
    session: NotRequired[str]
    impersonator: NotRequired[str]


ERASED: Final[Actor] = {"user": "erased"}
"""Who acted, once the person's key is destroyed: nobody can say any more."""

UNREADABLE: Final[Actor] = {"user": "unreadable"}
"""Who acted, where the person's key is another one than the actor was sealed under: nobody can say until the key is set right."""


class Provenance(NamedTuple):
    """`occurred_at` is in UTC, `request_id` a ULID, `catalogue_version` the one that the user was shown.

    `organization` is None for a user without an active one.
    """

    actor: Actor
    organization: str | None
    source: Source
    request_id: str
    occurred_at: datetime
    catalogue_version: int
