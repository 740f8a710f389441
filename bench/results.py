"""The files that a run leaves behind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.chart import svg
from bench.loads import Measured
from bench.medians import rounds
from bench.pair import CONNECTIONS
from bench.report import table
from bench.size import Size

NAME = "results.md"


def write(folder: Path, machine: Mapping[str, str], size: Size, measured: Sequence[Measured], report: str) -> None:
    """`results.md`, and `chart.svg` where there is something to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    length = f"{size.rounds} rounds of {size.seconds:g} s"
    facts = table(("measured on and with", ""), machine.items(), left=(0, 1))
    (folder / NAME).write_text(
        f"# Results of the benchmark\n\n`make bench` wrote this page: {length}. [README.md](README.md) says how it measures.\n\n"
        f"{facts}\n\n{report}\n"
    )
    rates = {
        (cell.method, cell.contender): median(run.answers.rate for run in runs)
        for cell, runs in rounds(measured).items()
        if cell.connections == CONNECTIONS
    }
    if rates:
        note = f"Medians of {length}, all processes of a service on one core, {machine['processor']}, {machine['date']}"
        (folder / "chart.svg").write_text(svg(rates, note))
