"""How far each leg of the sweep is, and what it found."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import orjson
import structlog

from application.evidence.sweep import Finding, FoundSince, LegStatus, StepResult, Subject, SweepStatus
from infrastructure.evidence.sweep.leg import Connection, State
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

REMEMBERED: Final = 1000
"""Findings of one kind that are kept for each leg: where there are more, all of it has to be looked at anyway."""

_QUERIES: Final[dict[str, LiteralString]] = queries("sweep")

log = structlog.get_logger("sweep")


class LegState(NamedTuple):
    """A leg, with the database's time."""

    status: LegStatus
    state: State
    now: datetime

    @property
    def begun_in_future(self) -> bool:
        """Whether the database's clock was set back since the pass began. Until that time comes again, the pass can't be due or complete."""
        return self.status.began_at > self.now

    def due_in(self, within: timedelta) -> float:
        """Seconds until the next step is due, if a pass is to be complete within this time. 0 or less: it is due."""
        return 0 if self.begun_in_future else (self.status.due(within) - self.now).total_seconds()


class Journal:
    """On the connection of who takes the steps."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def state_of(self, leg: str) -> LegState:
        self._run("begin", leg=leg)
        [(number, began_at, state, events, about, completed_at, now)] = self._run("leg", leg=leg)
        status = LegStatus(leg, number, began_at, events, about, completed_at, state is not None)
        return LegState(status, state, now)

    def lead(self, leg: str) -> bool:
        """Whether this connection takes the steps of the leg from now on, until it ends or lets go."""
        [(leads,)] = self._run("lead", leg=leg)
        return bool(leads)

    def let_go(self, leg: str) -> None:
        self._run("let_go", leg=leg)

    def begin_pass(self, leg: str) -> int:
        """The number of the pass."""
        [(number,)] = self._run("begin_pass", leg=leg)
        return int(number)

    def note(self, leg: str, number: int, result: StepResult) -> tuple[list[Finding], list[Finding]]:
        """Keep what a step of this pass has seen: the findings that are new, and those that are mended."""
        new = []
        for finding in result.findings:
            subject, place, sentence = finding
            found = {"leg": leg, "kind": subject, "place": place, "sentence": sentence, "pass": number}
            if self._run("find", **found, most=REMEMBERED) == [(True,)]:
                new.append(finding)
        if result.state is not None:
            self._run("go_on", leg=leg, state=orjson.dumps(result.state).decode(), events=result.events)
            return new, []
        self._run("complete", leg=leg, events=result.events)
        mended = [_finding(*row) for row in self._run("mend", **{"leg": leg, "pass": number})]
        return new, mended

    def _run(self, name: str, **parameters: Any) -> list[Any]:
        cursor = self._connection.execute(_QUERIES[name], parameters)
        return cursor.fetchall() if cursor.description else []


async def sweep_status(database: Database) -> SweepStatus:
    """What the sweep has to say for itself. Raises `Unavailable`."""
    legs = await database.fetch_in_time(_QUERIES["legs"])
    findings = await database.fetch_in_time(_QUERIES["findings"])
    return SweepStatus(
        [LegStatus(*row) for row in legs],
        [FoundSince(_finding(*row), found_at) for *row, found_at in findings],
    )


def say(new: Sequence[Finding], mended: Collection[Finding]) -> None:
    """Once each: when it is found, and when it is found no more."""
    for subject, place, sentence in new:
        log.critical("the sweep found what isn't as the log says", kind=subject, place=place, finding=sentence)
    for subject, place, sentence in mended:
        log.warning("the sweep no longer finds it", kind=subject, place=place, finding=sentence)


def _finding(kind: str, place: str, sentence: str) -> Finding:
    return Finding(Subject(kind), place, sentence)
