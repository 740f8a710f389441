"""The one rule that decides whether a user may be written to."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from domain.catalogue import Toggle


class Reason(StrEnum):
    """Why a toggle may be sent or not. The list is closed, because senders store the reason and branch on it."""

    CHOICE = "choice"
    DEFAULT = "default"
    MANDATORY = "mandatory"


class Decision(NamedTuple):
    allowed: bool
    reason: Reason


def decide(toggle: Toggle, choice: bool | None) -> Decision:
    """Decide by the user's recorded choice, or None if there is none. A mandatory toggle is sent even if the user turned it off before it
    became mandatory.
    """
    if toggle.mandatory:
        return Decision(True, Reason.MANDATORY)
    if choice is None:
        return Decision(toggle.default, Reason.DEFAULT)
    return Decision(choice, Reason.CHOICE)


@cache
def decisions(toggle: Toggle) -> Mapping[bool | None, Decision]:
    """The decision for each possible choice. There are only these three, however many users a question names."""
    return {choice: decide(toggle, choice) for choice in (None, True, False)}
