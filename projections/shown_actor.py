"""The actor as customers see it: in a user's own history, in the audit log, and in all data that leaves the service."""

from enum import StrEnum
from typing import Final, NamedTuple

from domain.isolation import ShownOpened, ShownToggled

STAFF_LABEL: Final = "support"
"""All staff are shown under one label: a user learns that support acted, but not which employee."""


class ActorKind(StrEnum):
    """`PLATFORM` is a member of staff who acts in a user's name; `CUSTOMER` is the user."""

    CUSTOMER = "customer"
    PLATFORM = "platform"


class Actor(NamedTuple):
    kind: ActorKind
    label: str


STAFF: Final = Actor(ActorKind.PLATFORM, STAFF_LABEL)


def shown_actor(event: ShownOpened | ShownToggled) -> Actor:
    """An event shows that staff acted even after erasure, when the actor can no longer be read."""
    if event.impersonated or "impersonator" in event.actor:
        return STAFF
    return Actor(ActorKind.CUSTOMER, event.actor["user"])
