"""Who changed something, when, from where, and on whose behalf. This makes an event evidence."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, NotRequired, TypedDict


class Source(StrEnum):
    """Where a change came from. The list is closed, because consumers branch on it. Adding a source needs a decision."""

    DASHBOARD = "dashboard"
    API = "api"
    ONE_CLICK = "one_click"
    LINK = "link"
    IMPORT = "import"
    ADMIN = "admin"
    SYSTEM = "system"


BY_LINK: Final = frozenset({Source.ONE_CLICK, Source.LINK})
"""Changes from these sources were made by the bearer of an unsubscribe link: with `ONE_CLICK` a mail provider sent the request, with `LINK`
the link's own page did. The link proves which user was written to. It doesn't prove that the bearer is that user.
"""


class Actor(TypedDict):
    """The personal part of an event, all of it. It is one JSON value, so that it can be sealed as a whole under the person's key.

    `user` owns the preferences. `impersonator` acted in the user's name, if anyone did. The bearer of an unsubscribe link has no session;
    the event's source says that the bearer acted.
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

    `organization` is None for a user without an active one. `traceparent` is the request's place in a trace of the client's tracing system
    (W3C Trace Context, version 00). None if the client sent none.
    """

    actor: Actor
    organization: str | None
    source: Source
    request_id: str
    occurred_at: datetime
    catalogue_version: int
    traceparent: str | None = None
