"""Where the service's time goes under load."""

import json
import signal
import sys
from dataclasses import replace

from bench.contender import OURS
from bench.pair import CONNECTIONS
from bench.report import table
from bench.stage import Stage
from bench.wrk import Method


def show(stage: Stage) -> None:
    """The functions that take most of the time of a server, once for each method."""
    methods: tuple[Method, ...] = ("GET", "PATCH")
    for method in methods:
        result = stage.work / f"profile-{method}.json"
        watched = replace(
            OURS,
            command=(sys.executable, "-m", "bench.contenders.sampled"),
            settings={"BENCH_PROFILE": str(result)},
        )
        with stage.trial(watched) as trial:
            trial.run(method, CONNECTIONS, 2)
            trial.server.process.send_signal(signal.SIGUSR1)
            run = trial.run(method, CONNECTIONS, stage.size.seconds)
        print(f"{method}: {run.answers.rate:,.0f}/s while watched\n\n{_table(json.loads(result.read_text()))}\n")


def _table(counts: dict[str, list[tuple[str, int]]]) -> str:
    total = sum(count for _, count in counts["alone"])
    within = dict(counts["within"])
    rows = [
        (place, f"{count / total:.1%}", f"{within.get(place, count) / total:.1%}")
        for place, count in counts["alone"][:30]
    ]
    return table((f"function, of {total:,} samples", "in itself", "with all it calls"), rows)
