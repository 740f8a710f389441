"""Whether somebody may be written to: the one rule."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from domain.catalogue import Toggle


class Reason(StrEnum):
    """What decided. A closed list: senders keep it, and branch on it."""

    CHOICE = "choice"
    DEFAULT = "default"
    MANDATORY = "mandatory"


class Decision(NamedTuple):
    allowed: bool
    reason: Reason


def decide(toggle: Toggle, choice: bool | None) -> Decision:
    """By the user's recorded choice, None if there is none. What is mandatory is sent, whatever was chosen before it was."""
    if toggle.mandatory:
        return Decision(True, Reason.MANDATORY)
    if choice is None:
        return Decision(toggle.default, Reason.DEFAULT)
    return Decision(choice, Reason.CHOICE)


@cache
def decisions(toggle: Toggle) -> Mapping[bool | None, Decision]:
    """The decision for each choice that there can be: of thousands of users there are no more than these three."""
    return {choice: decide(toggle, choice) for choice in (None, True, False)}
