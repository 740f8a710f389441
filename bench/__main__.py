"""`make bench`: measures the service against the contenders, and everything else that there is a goal for."""

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import former, loads, machine, medians, profile, report, results
from bench.figure import Figure
from bench.pair import VoidRun
from bench.parts import (
    audit,
    audit_log,
    cross_origin,
    decisions,
    disk,
    feed,
    follow,
    long_stream,
    memory,
    rebuild,
    relay,
    relay_latency,
    stored_log,
    sweep,
    workers,
)
from bench.selection import Selection
from bench.size import FULL, QUICK
from bench.stage import WORK, Stage
from bench.wrk import WrkMissing, program

PARTS = (
    workers,
    cross_origin,
    stored_log,
    long_stream,
    rebuild,
    follow,
    feed,
    relay,
    relay_latency,
    audit,
    sweep,
    audit_log,
    decisions,
    memory,
    disk,
)
HERE = Path(__file__).parent


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="See that it works, in less than a minute.")] = False,
    only: Annotated[str | None, typer.Option(help="Run a part alone, e.g. `rebuild`, `loads.*.patch.32`.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Instead of 5.", min=1)] = None,
    seconds: Annotated[int | None, typer.Option(help="Of each run, instead of 5.", min=1)] = None,
    against: Annotated[
        str | None, typer.Option(help="Measure nothing but this release against a former revision of git, in turns.")
    ] = None,
    profiled: Annotated[bool, typer.Option("--profile", help="Show where the service's time goes instead.")] = False,
) -> None:
    """Measure. Exit code 1 if a run was void, 2 if something that is needed is missing."""
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    try:
        program()
    except WrkMissing as error:
        console.print(str(error))
        raise typer.Exit(2) from None
    began = time.monotonic()
    size = QUICK if quick else FULL
    size = replace(size, rounds=rounds or size.rounds, seconds=seconds or size.seconds)
    with Stage.set_up(size, console) as stage:
        if profiled:
            profile.show(stage)
            return
        if against is not None:
            report.show_goals(console, former.measure(stage, against), former.GOALS)
            return
        good = _measure(stage, Selection(only), began)
    raise typer.Exit(0 if good else 1)


def _measure(stage: Stage, selection: Selection, began: float) -> bool:
    """Whether every run counts."""
    facts = machine.facts(stage)
    stage.console.print(
        f"{facts['processor']}, {stage.cores}; PostgreSQL {facts['postgresql']}, Python {facts['python']}"
    )
    measured = _loads(stage, selection)
    figures = medians.ratios(measured)
    void = [one for one in measured if one.run.faults]
    complete = True
    for part in PARTS:
        if selection.has(part.NAME):
            started = time.monotonic()
            try:
                figures += part.measure(stage)
            except VoidRun as error:
                stage.console.print(f"[red]void:[/] {part.NAME}: {error}")
                complete = False
            stage.console.print(f"[dim]{part.NAME}: {time.monotonic() - started:.0f} s[/]")
    _report(stage.console, measured, figures)
    good = complete and not void
    # What the README shows is a whole run of which everything counts, or none.
    whole = good and selection.everything and stage.size.at_least(FULL)
    folder = HERE if whole else WORK / "latest"
    results.write(folder, facts, stage.size, measured, figures)
    stage.console.print(f"written after {time.monotonic() - began:.0f} s: {folder / 'results.json'}")
    return good


def _loads(stage: Stage, selection: Selection) -> list[loads.Measured]:
    wanted = loads.cells(stage, selection)
    measured = []
    for one in loads.measure(stage, wanted) if wanted else ():
        measured.append(one)
        answers = one.run.answers
        stage.console.print(
            f"[dim]round {one.round} of {stage.size.rounds}  {one.cell.name:28} {answers.rate:8,.0f}/s  "
            f"p50 {answers.p50:7.2f}  p99 {answers.p99:7.2f} ms[/]" + ("  [red]void[/]" if one.run.faults else "")
        )
    return measured


def _report(console: Console, measured: Sequence[loads.Measured], figures: Sequence[Figure]) -> None:
    if measured:
        report.show_medians(console, medians.medians(measured))
    report.show_goals(console, figures)
    report.show_void(console, measured)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Whoever ends us ends what we started: the stack unwinds, and servers and PostgreSQL stop with it.
    signal.signal(signal.SIGTERM, _interrupt)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(bench)
    app()
