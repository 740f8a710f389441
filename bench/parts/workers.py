"""Two worker processes against one. No process is pinned to a core."""

from bench.contender import OURS
from bench.goals import Figure
from bench.pair import compare
from bench.process import children, processor_seconds
from bench.processor import is_follower
from bench.stage import Stage
from bench.trial import Trial, VoidRun

NAME = "workers"
ENOUGH_CORES = 4
"""For two workers, PostgreSQL and the load. With fewer, a second worker has nowhere to run, and the ratio is not judged."""
LEAST_SHARE = 0.1
"""Of the work. They share a socket, and which of them takes a connection from it is the kernel's choice."""


def measure(stage: Stage) -> list[Figure]:
    with (
        stage.unpinned(),
        stage.trial(OURS, pinned=False, workers=2) as pair,
        stage.trial(OURS, pinned=False) as single,
    ):
        rates = compare(stage, pair, single)
        wrong = pair.record.inconsistent(after=0)
        busy, other = _shares(pair)
    acknowledged = sum(run.tally.acknowledged for run in rates.firsts if run.tally)
    if other < LEAST_SHARE and stage.size.warm_up:
        raise VoidRun(f"one of two workers did {busy:.0%} of the work: nothing is known of two")
    detail = (
        f"{acknowledged:,} acknowledged changes of two workers, who shared the work {busy:.0%} to {other:.0%}, each in "
        "the log exactly once: the run would be void otherwise"
    )
    cores = len(stage.cores.everything)
    compared = (
        f"{rates.first:,.0f}/s against {rates.second:,.0f}/s on {cores} cores, which PostgreSQL and the load share"
    )
    return [
        Figure("workers.lost", wrong, detail),
        Figure("workers.rate", rates.ratio, compared, judged=cores >= ENOUGH_CORES),
    ]


def _shares(trial: Trial) -> tuple[float, float]:
    """What part of their processor time the two workers had, the busier one first."""
    workers = [pid for pid in children(trial.server.process.pid) if not is_follower(pid)]
    spent = sorted(map(processor_seconds, workers), reverse=True)[:2]
    return spent[0] / sum(spent), spent[1] / sum(spent)
