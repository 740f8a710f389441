"""The sweep: it checks the log, and all data that is made from the log, slowly and again and again.

A pass has legs. Each leg goes through its subject in steps. A step checks a bounded stretch as of one moment. The state that the
next step needs is stored with the findings, so any process can take the next step.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from application.evidence.differences import Fault, Kind

STEP: Final = 2048
"""Events that one step checks: some 10 ms of the database's time."""

SHARE: Final = 0.9
"""The share of its allowed time that a pass plans to use. The rest is a reserve for delays."""

REST: Final = 4
"""After each step the sweep rests for this many times the length of the step, even if the pass is late."""

MAX_FINDINGS: Final = 20
"""Findings of one kind that one step names. The others are only counted."""


class Subject(StrEnum):
    """The subject of a finding."""

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
    """`place` distinguishes the finding from others of its kind: "position 17", "stream …". A sentence has no personal data."""

    subject: Subject
    place: str
    sentence: str


class StepResult(NamedTuple):
    """The result of a step. `state` is the state that the next step needs; None means that the pass is complete."""

    state: Mapping[str, Any] | None
    events: int
    findings: list[Finding]


class NamedFindings:
    """The findings of one step: the first ones of each kind, and the number of the others."""

    def __init__(self) -> None:
        self._named: list[Finding] = []
        self._counts: Counter[Subject] = Counter()

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._counts[finding.subject] += 1
            if self._counts[finding.subject] <= MAX_FINDINGS:
                self._named.append(finding)

    def all(self, stretch: str) -> list[Finding]:
        """`stretch` names the part of the log that the step checked."""
        more = [
            Finding(subject, stretch, f"{count - MAX_FINDINGS} more findings about the {subject.noun} in {stretch}")
            for subject, count in self._counts.items()
            if count > MAX_FINDINGS
        ]
        return [*self._named, *more]


def of_fault(fault: Fault) -> Finding:
    """The finding for a fault of the log or of its evidence."""
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
    """How far a leg is. This pass has checked `events` of about `about` events. `under_way`: the pass has begun and isn't complete."""

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
        """When the next step is due, if the pass is to be complete within this time."""
        return self.began_at + within * SHARE * self.progress


class FoundSince(NamedTuple):
    """A finding that is not yet repaired, and when it was first found."""

    finding: Finding
    found_at: datetime


@dataclass(frozen=True, slots=True)
class SweepStatus:
    legs: list[LegStatus]
    findings: list[FoundSince]
