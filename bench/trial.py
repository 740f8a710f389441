"""A contender under load, and the check that nothing was lost or doubled by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.process import family, processor_seconds
from bench.record import Record
from bench.server import Server
from bench.tally import Tally, last_sent, overlooked
from bench.users import Users
from bench.wrk import Answers, Load, Method, send


class BlindTally(Exception):
    """The check of the runs would not notice what it is there for: no figure may be believed."""


class VoidRun(Exception):
    """A part of the benchmark whose counts don't agree has no result."""


@dataclass(frozen=True)
class Run:
    """`faults` say why it is void; of a run that counts there are none. `processor`: seconds of all cores that the contender's
    processes and their connections in PostgreSQL took for it."""

    answers: Answers
    processor: float
    faults: Sequence[str] = ()
    tally: Tally | None = None

    def counted(self) -> Self:
        """The run, if it counts. Raises `VoidRun`."""
        if self.faults:
            raise VoidRun("; ".join(self.faults))
        return self


class Trial:
    """A contender that is running. Its users take turns from one run to the next, so no one's is forgotten.

    `origin`: the page that all requests say they come from. `followed`: followers run beside the server.
    """

    def __init__(
        self,
        server: Server,
        record: Record,
        users: Users,
        work: Path,
        origin: str | None = None,
        *,
        followed: bool = False,
    ) -> None:
        self.url = record.url
        self.followed = followed
        self.server, self.record, self.users, self.origin = server, record, users, origin
        self._choices = work / f"{server.port}.choices"
        self._first = 0
        self._proven = False

    def run(self, method: Method, connections: int, seconds: float) -> Run:
        """With followers, it ends when they have reached the end of the log."""
        before = self._write_choices()
        spent = self._processor_seconds()
        position = self.record.position() if self.record.has_log else 0
        load = Load(method, connections, seconds, self.users.tokens, self._choices, self._first, origin=self.origin)
        answers = send(load, self.server.address)
        first, self._first = self._first, (self._first + answers.sent) % len(self.users)
        if method != "PATCH" or not self.record.has_choices:
            failed = answers.refused + answers.broken
            return Run(answers, self._since(spent), [f"{failed} requests failed"] if failed else [])
        self.record.wait_until_still()
        if self.followed:
            self.record.wait_until_followed()
        processor = self._since(spent)
        tally = self._tally(answers, connections, position, last_sent(before, answers.sent, first))
        if self.record.has_log:
            self._prove(tally, position)
        return Run(answers, processor, tally.faults, tally)

    def _processor_seconds(self) -> dict[int, float]:
        """What each process has used, by its id."""
        processes = (*family(self.server.process.pid), *self.record.backends())
        return {pid: processor_seconds(pid) for pid in processes}

    def _since(self, before: dict[int, float]) -> float:
        return sum(used - before.get(pid, 0) for pid, used in self._processor_seconds().items())

    def _write_choices(self) -> list[bool]:
        choices = self.record.choices(self.users.users)
        self._choices.write_text("".join("01"[choice] for choice in choices))
        return choices

    def _tally(self, answers: Answers, connections: int, position: int, wanted: Sequence[bool]) -> Tally:
        recorded = self.record.choices(self.users.users)
        return Tally(
            connections=connections,
            sent=answers.sent,
            acknowledged=answers.answered - answers.refused,
            failed=answers.refused + answers.broken,
            events=self.record.events(position) if self.record.has_log else None,
            inconsistent=self.record.inconsistent(position),
            astray=sum(is_ is not wanted_ for is_, wanted_ in zip(recorded, wanted, strict=True)),
        )

    def _prove(self, tally: Tally, position: int) -> None:
        """After the first good run: show that a wrong count in the database, or in the answers, would be noticed."""
        if self._proven or tally.faults:
            return
        assert tally.events is not None
        missed = overlooked(tally)
        too_many = tally.events - tally.acknowledged + 1
        gone = self.record.with_newest_gone(too_many, position)
        doubled = self.record.with_newest_doubled(position)
        if gone != tally.events - too_many or doubled != tally.events + 1:
            missed.append("events taken from the log, or put into it")
        if missed:
            raise BlindTally(f"The check that makes a run void does not notice {', '.join(missed)}.")
        self._proven = True
