"""A contender under load, and the check that nothing was lost or doubled by it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.lag import Lag
from bench.processor import Account, Processor
from bench.record import FollowersBehind, Record
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
    """`faults` say why it is void; of a run that counts there are none. `processor`: what the contender took for it, until its
    followers had taken in the last event. `lag`: the most that the audit index was behind meanwhile."""

    answers: Answers
    processor: Processor
    faults: Sequence[str] = ()
    tally: Tally | None = None
    lag: Lag | None = None

    def counted(self) -> Self:
        """The run, if it counts. Raises `VoidRun`."""
        if self.faults:
            raise VoidRun("; ".join(self.faults))
        return self


class Trial:
    """A contender that is running. Its users take turns, also from one run to the next, so no user is left out.

    `origin`: the page that all requests say they come from. `followed`: followers run beside the server; they have come up
    before the first run.
    """

    def __init__(
        self,
        server: Server,
        record: Record,
        account: Account,
        users: Users,
        work: Path,
        origin: str | None = None,
        *,
        followed: bool = False,
    ) -> None:
        self.url = record.url
        self.followed = followed
        self.server, self.record, self.users, self.origin = server, record, users, origin
        self._account = account
        self._choices = work / f"{server.port}.choices"
        self._first = 0
        self._proven = False
        if followed:
            record.wait_until_followed()

    def run(self, method: Method, connections: int, seconds: float) -> Run:
        """With followers, it ends when they have reached the end of the log."""
        before = self._write_choices()
        position = self.record.position() if self.record.has_log else 0
        load = Load(method, connections, seconds, self.users.tokens, self._choices, self._first, origin=self.origin)
        spent = self._account.so_far()
        with ExitStack() as beside:
            watch = beside.enter_context(self.record.watch_lag()) if self.followed and method == "PATCH" else None
            answers = send(load, self.server.address)
        first, self._first = self._first, (self._first + answers.sent) % len(self.users)
        if method != "PATCH" or not self.record.has_choices:
            failed = answers.refused + answers.broken
            faults = [f"{failed} requests failed"] if failed else []
            return Run(answers, self._account.so_far() - spent, faults)
        self.record.wait_until_still(answers.p99 / 1000)
        late = []
        if self.followed:
            try:
                self.record.wait_until_followed()
            except FollowersBehind as error:
                late = [str(error)]
        processor = self._account.so_far() - spent
        tally = self._tally(answers, connections, position, last_sent(before, answers.sent, first))
        if self.record.has_log:
            self._prove(tally, position)
        return Run(answers, processor, [*late, *tally.faults], tally, watch.most if watch else None)

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
        """After the first good run with an answer: show that a wrong count in the database, or in the answers, would be noticed."""
        if self._proven or tally.faults or not tally.acknowledged:
            return
        assert tally.events is not None
        missed = overlooked(tally)
        too_many = tally.events - tally.acknowledged + 1
        gone = self.record.with_newest_gone(too_many, position)
        doubled = self.record.with_newest_doubled(position)
        if gone != too_many or doubled != 1:
            missed.append("events taken from the log, or put into it")
        if missed:
            raise BlindTally(f"The check that makes a run void does not notice {', '.join(missed)}.")
        self._proven = True
