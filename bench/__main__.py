"""`make bench`: measures the service against the contenders, and everything else that there is a goal for."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench import former, loads, machine, medians, npm, profile, report, results
from bench.parts import (
    audit,
    audit_log,
    audit_summary,
    cross_origin,
    decisions,
    disk,
    feed,
    follow,
    long_stream,
    memory,
    nuisances,
    partitions,
    rebuild,
    relay,
    relay_latency,
    replica,
    stored_log,
    sweep,
    unsubscribe,
    workers,
)
from bench.selection import Selection
from bench.size import FULL, QUICK
from bench.stage import WORK, Stage
from bench.trial import VoidRun
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
    replica,
    audit,
    sweep,
    audit_log,
    audit_summary,
    decisions,
    unsubscribe,
    memory,
    nuisances,
    partitions,
    disk,
)
HERE = Path(__file__).parent


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="See that it works, in less than three minutes.")] = False,
    only: Annotated[str | None, typer.Option(help="Run a part alone, e.g. `rebuild`, `loads.*.patch.32`.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Instead of 7.", min=1)] = None,
    seconds: Annotated[int | None, typer.Option(help="Of each run, instead of 5.", min=1)] = None,
    against: Annotated[
        str | None, typer.Option(help="Measure nothing but this release against a former revision of git, in turns.")
    ] = None,
    profiled: Annotated[bool, typer.Option("--profile", help="Show where the service's time goes instead.")] = False,
) -> None:
    """Measure. Exit code 1 if a run was void, 2 if something that is needed is missing, or if `--only` names nothing."""
    try:
        program()
    except WrkMissing as error:
        print(error)
        raise typer.Exit(2) from None
    size = QUICK if quick else FULL
    size = replace(size, rounds=rounds or size.rounds, seconds=seconds or size.seconds)
    with Stage.set_up(size) as stage:
        if profiled:
            profile.show(stage)
        elif against is not None:
            print(report.of_goals(former.measure(stage, against), former.GOALS))
        elif not _measure(stage, Selection(only)):
            raise typer.Exit(1)


def _measure(stage: Stage, selection: Selection) -> bool:
    """Whether every run counts."""
    began = time.monotonic()
    facts = machine.facts(stage)
    print(
        f"{facts['processor']}, {stage.cores}; PostgreSQL {stage.setting('server_version')}, Python {facts['Python']}"
    )
    wanted = loads.cells(stage, selection)
    if not wanted and not any(selection.has(part.NAME) for part in PARTS):
        print(f"--only {selection.pattern}: there is no such part")
        raise typer.Exit(2)
    left_out = npm.left_out({cell.contender for cell in wanted})
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    if left_out and os.environ.get("COUNTERPARTS") == "required":
        raise typer.Exit(2)
    measured = _loads(stage, [cell for cell in wanted if cell.contender not in left_out])
    figures = [*medians.ratios(measured), *medians.of_index(measured)]
    good = not any(one.run.faults for one in measured)
    for part in PARTS:
        if selection.has(part.NAME):
            started = time.monotonic()
            try:
                figures += part.measure(stage)
            except VoidRun as error:
                print(f"void: {part.NAME}: {error}")
                good = False
            print(f"{part.NAME}: {time.monotonic() - started:.0f} s")
    found = report.of_run(measured, figures, left_out)
    print(f"\n{found}\n")
    # What the README shows is a whole run of which everything counts, or none.
    whole = good and not left_out and selection.everything and stage.size.at_least(FULL)
    folder = HERE if whole else WORK / "latest"
    results.write(folder, facts, stage.size, measured, found)
    print(f"written after {time.monotonic() - began:.0f} s: {folder / results.NAME}")
    return good


def _loads(stage: Stage, wanted: list[loads.Cell]) -> list[loads.Measured]:
    measured = []
    for one in loads.measure(stage, wanted) if wanted else ():
        measured.append(one)
        answers = one.run.answers
        print(
            f"round {one.round} of {stage.size.rounds}  {one.cell.name:28} {answers.rate:8,.0f}/s  "
            f"p50 {answers.p50:7.2f}  p99 {answers.p99:7.2f} ms" + ("  void" if one.run.faults else "")
        )
    return measured


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # A signal that ends the benchmark ends what it started: the stack unwinds, and servers and PostgreSQL stop with it.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.stdout.reconfigure(line_buffering=True)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(bench)
    app()
