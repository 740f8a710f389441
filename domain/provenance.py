"""Who changed something, when, from where, and on whose behalf. This makes an event evidence."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, NotRequired, TypedDict


class Source(StrEnum):
    """Where a change came from. The list is closed, because consumers branch on it. Adding a source needs a decision."""

    DASHBOARD = "dashboard"
    API = "api"
    ONE_CLICK = "one_click"
    IMPORT = "import"
    ADMIN = "admin"
    SYSTEM = "system"


class Actor(TypedDict):
    """The personal part of an event, all of it. It is one JSON value, so that it can be sealed as a whole under the person's key.

    `user` owns the preferences. `impersonator` acted in the user's name, if anyone did.
    """

    user: str
    session: NotRequired[str]
    impersonator: NotRequired[str]


ERASED: Final[Actor] = {"user": "erased"}
"""The actor after the person's key was destroyed. It can never be read again."""

UNREADABLE: Final[Actor] = {"user": "unreadable"}
"""The actor if it was sealed under another key than the person's current one. It can't be read until the key is repaired."""


class Provenance(NamedTuple):
    """`occurred_at` is in UTC, `request_id` is a ULID, `catalogue_version` is the version that the user was shown.

    `organization` is None for a user without an active one.
    """

    actor: Actor
    organization: str | None
    source: Source
    request_id: str
    occurred_at: datetime
    catalogue_version: int
