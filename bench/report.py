"""The report of a run, as Markdown: the tables of medians, the goals, and what is missing or void."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median_low

from bench.goals import GOALS, Figure, Goal
from bench.loads import Cell, Measured
from bench.medians import Quantity, Rounds, rounds, shown, value
from bench.trial import Run

TITLES: dict[Quantity, str] = {"rate": "Requests a second", "p50": "p50 in ms", "p99": "p99 in ms"}


def of_run(measured: Sequence[Measured], figures: Sequence[Figure], left_out: Mapping[str, str]) -> str:
    parts = [of_goals(figures, GOALS)]
    if found := rounds(measured):
        parts = [*(_medians(found, quantity) for quantity in TITLES), _processor(found), *parts]
    missing = [f"Left out: {name}, because {reason}." for name, reason in left_out.items()]
    return "\n\n".join([*parts, *missing, *_void(measured)])


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """A Markdown table that reads well as it stands. Numbers are to the right, but for the columns named as `left`."""
    rows = [titles, *rows]
    # The last column may hold whole sentences, which would make all rows as long.
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    if len(titles) - 1 in left:
        widths[-1] = 0
    lines = [
        " | ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = " | ".join("---" if column in left else "--:" for column in range(len(titles)))
    return "\n".join(f"| {line.rstrip()} |" for line in (lines[0], rule, *lines[1:]))


def _medians(found: Rounds, quantity: Quantity) -> str:
    """The median, and the lowest and the highest of the rounds."""
    heading = f"**{TITLES[quantity]}**: median (lowest to highest), by method and connections"

    def cell(runs: Sequence[Run]) -> str:
        values = [value(run, quantity) for run in runs]
        middle, lowest, highest = (shown(some, quantity) for some in (values, [min(values)], [max(values)]))
        return f"{middle} ({lowest} to {highest})"

    return f"{heading}\n\n{_by_load(found, cell)}"


def _processor(found: Rounds) -> str:
    heading = (
        "**Processor time of a request in µs**, over all processes and cores: median (server + followers + PostgreSQL), by method and "
        "connections"
    )

    def cell(runs: Sequence[Run]) -> str:
        # The parts of one and the same run, so that they add up.
        cost = median_low(value(run, "processor") for run in runs)
        run = next(run for run in runs if value(run, "processor") == cost)
        parts = (run.processor.server, run.processor.followers, run.processor.postgres)
        return f"{cost:,.0f} ({' + '.join(f'{part / run.answers.answered * 1e6:,.0f}' for part in parts)})"

    return f"{heading}\n\n{_by_load(found, cell)}"


def _by_load(found: Rounds, cell: Callable[[Sequence[Run]], str]) -> str:
    """A line for each contender, a column for each load."""
    loads = list(dict.fromkeys((one.method, one.connections) for one in found))
    names = list(dict.fromkeys(one.contender for one in found))
    rows = [
        [name, *(cell(runs) if (runs := found.get(Cell(name, *load))) else "-" for load in loads)] for name in names
    ]
    return table(("contender", *(f"{method} {connections}" for method, connections in loads)), rows)


def of_goals(figures: Sequence[Figure], goals: Sequence[Goal]) -> str:
    by_name = {figure.name: figure for figure in figures}
    measured = [(goal, by_name[goal.figure]) for goal in goals if goal.figure in by_name]
    rows = [
        (
            goal.title,
            f"{_number(figure.value)} {goal.unit}",
            f"{goal.direction} {_number(goal.limit)}",
            _verdict(goal, figure),
            figure.detail,
        )
        for goal, figure in measured
    ]
    text = table(("**goals**", "measured", "goal", "reached", "made of"), rows, left=(0, 3, 4)) if rows else ""
    missing = len(goals) - len(measured)
    return text + (f"\n\nNot measured this time: {missing} of {len(goals)} goals." if missing else "")


def _verdict(goal: Goal, figure: Figure) -> str:
    if not figure.judged:
        return "not judged"
    return "yes" if goal.reached_by(figure.value) else "**no**"


def _void(measured: Iterable[Measured]) -> list[str]:
    return [
        f"Void: {one.cell.name} in round {one.round}: {'; '.join(one.run.faults)}" for one in measured if one.run.faults
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.2f}"
