"""The sweep: everything that is made of the log, and the log itself, is held against what it must be, slowly, time and again.

A pass has legs, each of which goes through its subject in steps. A step is one look, as of one moment, at a bounded stretch; what it
needs of the steps before it is kept with its findings, so any process can take the next one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from application.evidence.differences import Fault, Kind

STEP: Final = 2048
"""Events that are looked at in one step: some 10 ms of the database's time."""

SHARE: Final = 0.9
"""Of the time that a pass may take: the rest is for what its pace couldn't foresee."""

REST: Final = 4
"""A step is followed by a rest of so many times its length, also where the pass is behind its time."""

MOST: Final = 20
"""Findings of one kind that are named in one step."""


class Subject(StrEnum):
    """What a finding is about."""

    EVENT = "event"
    TILE = "tile"
    CHECKPOINT = "checkpoint"
    READ_MODEL = "read_model"
    AUDIT_INDEX = "audit_index"
    KEY = "key"
    FOLLOWER = "follower"

    @property
    def noun(self) -> str:
        return self.value.replace("_", " ")


class Finding(NamedTuple):
    """`place` tells it from others of its kind: "position 17", "stream …". Nothing personal stands in a sentence."""

    subject: Subject
    place: str
    sentence: str


class Taken(NamedTuple):
    """What a step has seen. `state` is what the next one needs; None: the pass is complete."""

    state: Mapping[str, Any] | None
    events: int
    findings: list[Finding]


class Named:
    """The findings of one step: of each kind the first ones, and how many more there are."""

    def __init__(self) -> None:
        self._named: list[Finding] = []
        self._counts: Counter[Subject] = Counter()

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._counts[finding.subject] += 1
            if self._counts[finding.subject] <= MOST:
                self._named.append(finding)

    def all(self, stretch: str) -> list[Finding]:
        """`stretch` is what the step went through."""
        more = [
            Finding(subject, stretch, f"{count - MOST} more findings about the {subject.noun} in {stretch}")
            for subject, count in self._counts.items()
            if count > MOST
        ]
        return [*self._named, *more]


def of_fault(fault: Fault) -> Finding:
    """A fault of the log or of its evidence."""
    match fault.kind:
        case Kind.TILE:
            subject = Subject.TILE
        case Kind.CHECKPOINT:
            subject = Subject.CHECKPOINT
        case _:
            subject = Subject.EVENT
    if fault.kind is Kind.CONTRADICTED:
        place = f"positions {fault.first} to {fault.last}"
    elif fault.first:
        place = f"position {fault.first}"
    else:
        place = fault.sentence
    return Finding(subject, place, fault.sentence)


@dataclass(frozen=True, slots=True)
class LegStatus:
    """How far a leg is. `events` were seen in this pass, of about `about`. `under_way`: the pass has begun and isn't complete."""

    leg: str
    number: int
    began_at: datetime
    events: int
    about: int
    completed_at: datetime | None
    under_way: bool

    @property
    def complete(self) -> bool:
        return not self.under_way and self.completed_at is not None and self.completed_at >= self.began_at

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        if self.complete:
            return 1.0
        return min(1.0, self.events / self.about) if self.about else 0.0

    def due(self, within: timedelta) -> datetime:
        """When its next step is to be taken, for a pass to be complete in this time."""
        return self.began_at + within * SHARE * self.progress


class FoundSince(NamedTuple):
    """A finding that is not mended, and when it was first found."""

    finding: Finding
    found_at: datetime


@dataclass(frozen=True, slots=True)
class SweepStatus:
    legs: list[LegStatus]
    findings: list[FoundSince]
