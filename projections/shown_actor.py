"""The actor as customers see it: in a user's own history, in the audit log, and in all data that leaves the service."""

from enum import StrEnum
from typing import Final, NamedTuple

from domain.events import NotificationToggled
from domain.isolation import ShownOpened, ShownToggled
from domain.provenance import BY_LINK

STAFF_LABEL: Final = "support"
"""All staff are shown under one label: a user learns that support acted, but not which employee."""

BEARER_LABEL: Final = "unsubscribe link"
"""The bearer of a link is shown under this label, because nothing proves that it was the user. No user's id has a space in it."""


class ActorKind(StrEnum):
    """`PLATFORM` is a member of staff who acts in a user's name; `CUSTOMER` is the user, or the bearer of a link in the user's mail."""

    CUSTOMER = "customer"
    PLATFORM = "platform"


class Actor(NamedTuple):
    kind: ActorKind
    label: str


STAFF: Final = Actor(ActorKind.PLATFORM, STAFF_LABEL)
BEARER: Final = Actor(ActorKind.CUSTOMER, BEARER_LABEL)


def shown_actor(event: ShownOpened | ShownToggled) -> Actor:
    """An event shows that staff, or the bearer of a link, acted even after erasure, when the actor can no longer be read."""
    if event.impersonated or "impersonator" in event.actor:
        return STAFF
    if event.source in BY_LINK:
        return BEARER
    return Actor(ActorKind.CUSTOMER, event.actor["user"])


def named_actor(event: NotificationToggled) -> str:
    """The actor as operators see it: the person's id, also of a member of staff. For the bearer of a link, whose link it was."""
    if "impersonator" in event.actor:
        return event.actor["impersonator"]
    if event.source in BY_LINK:
        return f"{BEARER_LABEL} of {event.actor['user']}"
    return event.actor["user"]
