"""Two of ours under the same load, in turns."""

from dataclasses import dataclass
from statistics import median

from bench.stage import Stage
from bench.trial import Run, Trial


class VoidRun(Exception):
    """A part of the benchmark whose counts don't agree has no result."""


@dataclass(frozen=True)
class Rates:
    """Medians of both, in requests a second, and the median of the rounds' ratios."""

    first: float
    second: float
    ratio: float
    firsts: list[Run]
    """The runs of the first that count."""


def compare(stage: Stage, first: Trial, second: Trial, *, connections: int, method: str = "PATCH") -> Rates:
    """PATCH/s, or GET/s, of the first against the second."""
    pairs = []
    for number in range(stage.size.rounds):
        pair = {}
        # Whoever begins changes with each round: a machine that becomes slower must not be to the second one's account.
        for trial in (first, second) if number % 2 == 0 else (second, first):
            stage.settle()
            # After a checkpoint PostgreSQL logs each page whole that is changed for the first time: where many are stored, that
            # is another one for nearly every change. A checkpoint comes every five minutes, not with every run.
            if stage.size.warm_up:
                _counting(trial.run(method, connections, stage.size.warm_up))
            pair[trial] = _counting(trial.run(method, connections, stage.size.seconds))
        pairs.append((pair[first], pair[second]))
    rates = [(one.answers.rate, other.answers.rate) for one, other in pairs]
    ours, theirs = zip(*rates, strict=True)
    return Rates(median(ours), median(theirs), median(a / b for a, b in rates), [one for one, _ in pairs])


def _counting(run: Run) -> Run:
    if run.faults:
        raise VoidRun("; ".join(run.faults))
    return run
