"""What a run ends with, as Markdown: the tables of medians, the goals, and the runs that are void."""

from collections.abc import Iterable, Sequence

from bench.goals import GOALS, Figure, Goal
from bench.loads import Cell, Measured
from bench.medians import Quantity, Rounds, rounds, shown
from bench.wrk import Answers

TITLES: dict[Quantity, str] = {"rate": "Requests a second", "p50": "p50 in ms", "p99": "p99 in ms"}


def of_run(measured: Sequence[Measured], figures: Sequence[Figure]) -> str:
    parts = [of_goals(figures, GOALS)]
    if found := rounds(measured):
        parts = [*(_medians(found, quantity) for quantity in TITLES), *parts]
    return "\n\n".join([*parts, *_void(measured)])


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
    loads = list(dict.fromkeys((cell.method, cell.connections) for cell in found))
    names = list(dict.fromkeys(cell.contender for cell in found))
    rows = [
        [name, *(_range(found.get(Cell(name, method, connections)), quantity) for method, connections in loads)]
        for name in names
    ]
    titles = ["contender", *(f"{method} {connections}" for method, connections in loads)]
    return f"**{TITLES[quantity]}**: median (lowest to highest), by method and connections\n\n{table(titles, rows)}"


def _range(answers: Sequence[Answers] | None, quantity: Quantity) -> str:
    if not answers:
        return "-"
    values = [getattr(one, quantity) for one in answers]
    middle, lowest, highest = (shown(some, quantity) for some in (values, [min(values)], [max(values)]))
    return f"{middle} ({lowest} to {highest})"


def of_goals(figures: Sequence[Figure], goals: Sequence[Goal]) -> str:
    by_name = {figure.name: figure for figure in figures}
    measured = [(goal, by_name[goal.figure]) for goal in goals if goal.figure in by_name]
    rows = [
        (
            goal.title,
            f"{_number(figure.value)} {goal.unit}",
            f"{goal.direction} {_number(goal.limit)}",
            "yes" if goal.reached_by(figure.value) else "**no**",
            figure.detail,
        )
        for goal, figure in measured
    ]
    text = table(("**goals**", "measured", "goal", "reached", "made of"), rows, left=(0, 3, 4)) if rows else ""
    missing = len(goals) - len(measured)
    return text + (f"\n\nNot measured this time: {missing} of {len(goals)} goals." if missing else "")


def _void(measured: Iterable[Measured]) -> list[str]:
    return [
        f"Void: {one.cell.name} in round {one.round}: {'; '.join(one.run.faults)}" for one in measured if one.run.faults
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.2f}"
