"""Where the service's time goes under load."""

import json
import signal
import sys
from dataclasses import replace

from rich.table import Table

from bench.contender import OURS
from bench.stage import Stage
from bench.wrk import Method

CONNECTIONS = 32


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
        with stage.database("profile") as url, stage.trial(watched, url) as trial:
            trial.run(method, CONNECTIONS, 2)
            trial.server.process.send_signal(signal.SIGUSR1)
            run = trial.run(method, CONNECTIONS, stage.size.seconds)
        stage.console.print(f"{method}: {run.answers.rate:,.0f}/s while watched")
        stage.console.print(_table(json.loads(result.read_text())))


def _table(counts: dict[str, list[tuple[str, int]]]) -> Table:
    total = sum(count for _, count in counts["alone"])
    within = dict(counts["within"])
    table = Table("function", title=f"{total:,} samples", title_justify="left")
    for title in ("in itself", "with all it calls"):
        table.add_column(title, justify="right")
    for place, count in counts["alone"][:30]:
        table.add_row(place, f"{count / total:.1%}", f"{within.get(place, count) / total:.1%}")
    return table
