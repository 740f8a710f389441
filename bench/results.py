"""The files that a run leaves behind."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.chart import svg
from bench.figure import Figure
from bench.goals import GOALS
from bench.loads import Measured
from bench.medians import as_json, medians
from bench.size import Size


def write(
    folder: Path, machine: dict[str, object], size: Size, measured: Sequence[Measured], figures: Sequence[Figure]
) -> None:
    """`results.json`, with every single run, and `chart.svg`, where there is something to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    found = medians(measured)
    date = datetime.now(UTC).date().isoformat()
    document = {
        "date": date,
        "machine": machine,
        "size": asdict(size),
        "goals": [_goal(figure) for figure in figures],
        "medians": as_json(found),
        "runs": [_run(one) for one in measured],
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if found:
        note = f"Medians of {size.rounds} rounds of {size.seconds} s, one process on one core, {machine['processor']}, {date}"
        (folder / "chart.svg").write_text(svg(found, note))


def _goal(figure: Figure) -> dict[str, object]:
    goal = next(goal for goal in GOALS if goal.figure == figure.name)
    return {
        "figure": figure.name,
        "title": goal.title,
        "value": round(figure.value, 4),
        "goal": f"{goal.direction} {goal.limit:g}",
        "unit": goal.unit,
        "reached": goal.reached_by(figure.value),
        "detail": figure.detail,
    }


def _run(one: Measured) -> dict[str, object]:
    return {
        **vars(one.cell),
        "round": one.round,
        "rate": round(one.run.answers.rate, 1),
        **vars(one.run.answers),
        "events": one.run.tally.events if one.run.tally else None,
        "void": list(one.run.faults),
    }
