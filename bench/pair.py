"""Compares two set-ups of the service under the same load, in turns."""

from dataclasses import dataclass
from statistics import median

from bench.stage import Stage
from bench.trial import Run, Trial
from bench.wrk import Method

CONNECTIONS = 32


@dataclass(frozen=True)
class Rates:
    """Medians of both, in requests a second, and the median of the rounds' ratios. `processor`: the same ratio of the processor
    time of a request, in which a busy machine shows less."""

    first: float
    second: float
    ratio: float
    processor: float
    firsts: list[Run]
    """The runs of the first."""


def compare(
    stage: Stage, first: Trial, second: Trial, *, method: Method = "PATCH", connections: int = CONNECTIONS
) -> Rates:
    """Requests a second of the first against the second. Raises `VoidRun` if one of the runs doesn't count."""
    pairs = []
    for number in range(stage.size.rounds):
        pair = {}
        # The two take turns in beginning: a machine that becomes slower must not be to the second one's account.
        for trial in (first, second) if number % 2 == 0 else (second, first):
            stage.settle()
            # After a checkpoint PostgreSQL logs each page whole that is changed for the first time: where many are stored, that
            # is another one for nearly every change. A checkpoint comes every five minutes, not with every run.
            if stage.size.warm_up:
                trial.run(method, connections, stage.size.warm_up).counted()
            pair[trial] = trial.run(method, connections, stage.size.seconds).counted()
        pairs.append((pair[first], pair[second]))
    rates = [(one.answers.rate, other.answers.rate) for one, other in pairs]
    ours, theirs = map(median, zip(*rates, strict=True))
    processor = median(_processor(one) / _processor(other) for one, other in pairs)
    return Rates(ours, theirs, median(a / b for a, b in rates), processor, [one for one, _ in pairs])


def _processor(run: Run) -> float:
    return run.processor.together / run.answers.answered
