"""The limits of how long a client may keep the server waiting."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

UNTAKEN_FOR: Final = 20.0
"""Seconds within which a client must take some more of the last answer of its connection."""


class Awaited(Enum):
    """The things that a connection can wait for and that depend on the client alone."""

    FIRST_BYTE = auto()
    HEAD = auto()
    BODY = auto()
    NEXT_REQUEST = auto()
    ANSWER_TAKEN = auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """`header_bytes` limits the head of a request, in bytes. All others are seconds."""

    header_bytes: int = 32 * 1024
    header_within: float = 10
    body_within: float = 30
    keep_alive: float = 75

    def seconds(self) -> Mapping[Awaited, float]:
        return {
            Awaited.FIRST_BYTE: self.header_within,
            Awaited.HEAD: self.header_within,
            Awaited.BODY: self.body_within,
            Awaited.NEXT_REQUEST: self.keep_alive,
            Awaited.ANSWER_TAKEN: UNTAKEN_FOR,
        }


class Patience:
    """Measures how long a connection has waited for the same thing. It is checked every second.

    A timer for each request would cost more than reading the request.
    """

    __slots__ = ("_awaited", "_of", "_seconds", "_since")

    def __init__(self, seconds: Mapping[Awaited, float]) -> None:
        self._seconds = seconds
        self._awaited: Awaited | None = None
        self._of: object = None
        self._since = 0.0

    def exhausted(self, awaited: Awaited, of: object, now: float) -> bool:
        """Whether the wait for `awaited` has taken too long. `of` is the object that the wait is about; for another object, the time
        starts again."""
        if awaited is not self._awaited or (of is not self._of and of != self._of):
            self._awaited, self._of, self._since = awaited, of, now
        return now - self._since >= self._seconds[awaited]

    def renew(self) -> None:
        """The connection waits for nothing. The next wait starts from zero."""
        self._awaited = self._of = None
