"""Who acted, as it is shown to customers: in a user's own history, in the audit log, and in what leaves the house."""

from enum import StrEnum
from typing import Final, NamedTuple

from domain.isolation import ShownOpened, ShownToggled

STAFF_LABEL: Final = "support"
"""Staff are shown under one generic label: a user learns that support acted, not which employee did."""


class ActorKind(StrEnum):
    """`PLATFORM` is our staff, acting in a user's name; `CUSTOMER` is the user."""

    CUSTOMER = "customer"
    PLATFORM = "platform"


class Actor(NamedTuple):
    kind: ActorKind
    label: str


STAFF: Final = Actor(ActorKind.PLATFORM, STAFF_LABEL)


def shown_actor(event: ShownOpened | ShownToggled) -> Actor:
    """That staff acted is known also where nobody can say any more who it was."""
    if event.impersonated or "impersonator" in event.actor:
        return STAFF
    return Actor(ActorKind.CUSTOMER, event.actor["user"])
