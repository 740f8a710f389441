"""Whether an e-mail may be sent, from the replica alone."""

from enum import StrEnum
from typing import NamedTuple

from examples.email_sender.pseudonym import pseudonym
from examples.email_sender.replica import Replica


class Reason(StrEnum):
    """What decided: the first three as the service itself has them."""

    CHOICE = "choice"
    DEFAULT = "default"
    MANDATORY = "mandatory"
    UNKNOWN = "unknown"
    """The newest catalogue that we know doesn't have this toggle."""
    STALE = "stale"
    """The replica is further behind than the bound."""


class Decision(NamedTuple):
    allowed: bool
    reason: Reason


def decide(
    replica: Replica, organization: str | None, user: str, channel: str, toggle: str, *, now: float, bound: float
) -> Decision:
    """`now` in seconds since 1970; `bound` in seconds."""
    current_at, default, mandatory, choice = replica.find(pseudonym(organization, user), channel, toggle)
    if default is None:
        return Decision(False, Reason.UNKNOWN)
    # Before the age is looked at: nobody can have refused it, so there is nothing that we could have missed, and a security
    # alert that isn't sent does harm.
    if mandatory:
        return Decision(True, Reason.MANDATORY)
    # A moment in the future means that the clock was set back: then nobody knows the age.
    if not 0 <= now - current_at <= bound:
        return Decision(False, Reason.STALE)
    if choice is None:
        return Decision(default, Reason.DEFAULT)
    return Decision(choice, Reason.CHOICE)
