"""Two worker processes against one, with every core for everybody."""

from bench.contender import OURS
from bench.figure import Figure
from bench.pair import compare
from bench.stage import Stage

NAME = "workers"
CONNECTIONS = 32
ENOUGH_CORES = 4
"""For two workers, PostgreSQL and the load; with fewer, a second worker has nowhere to run."""


def measure(stage: Stage) -> list[Figure]:
    with (
        stage.database("workers_two") as two,
        stage.database("workers_one") as one,
        stage.unpinned(),
        stage.trial(OURS, two, pinned=False, workers=2) as pair,
        stage.trial(OURS, one, pinned=False) as single,
    ):
        rates = compare(stage, pair, single, connections=CONNECTIONS)
        wrong = pair.record.inconsistent(after=0)
    acknowledged = sum(run.tally.acknowledged for run in rates.runs if run.tally)
    figures = [
        Figure("workers.lost", wrong, f"{acknowledged:,} acknowledged changes, each found in the log exactly once")
    ]
    if len(stage.cores.everything) >= ENOUGH_CORES:
        figures.append(Figure("workers.rate", rates.ratio, f"{rates.first:,.0f}/s against {rates.second:,.0f}/s"))
    return figures
