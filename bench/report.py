"""The tables that a run ends with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

from bench.figure import Figure
from bench.goals import GOALS, Goal
from bench.loads import Cell, Measured
from bench.medians import Median

Quantity = Literal["rate", "p50", "p99"]


def show_medians(console: Console, found: Mapping[Cell, Median]) -> None:
    loads = list(dict.fromkeys((cell.method, cell.connections) for cell in found))
    names = list(dict.fromkeys(cell.contender for cell in found))
    titles: tuple[tuple[Quantity, str], ...] = (
        ("rate", "requests a second"),
        ("p50", "p50 in ms"),
        ("p99", "p99 in ms"),
    )
    for quantity, title in titles:
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column("connections")
        for method, connections in loads:
            table.add_column(f"{method} {connections}", justify="right")
        for name in names:
            values = [found.get(Cell(name, method, connections)) for method, connections in loads]
            table.add_row(name, *(_shown(value, quantity) for value in values))
        console.print(table)


def show_goals(console: Console, figures: Sequence[Figure], goals: Sequence[Goal] = GOALS) -> None:
    table = Table(title="goals", title_justify="left", title_style="bold")
    for title, justify in (("", "left"), ("measured", "right"), ("goal", "right"), ("", "center"), ("made of", "left")):
        table.add_column(title, justify=justify)
    by_name = {figure.name: figure for figure in figures}
    measured = [(goal, by_name[goal.figure]) for goal in goals if goal.figure in by_name]
    for goal, figure in measured:
        limit = f"{goal.direction} {_number(goal.limit)} {goal.unit}"
        mark = "[green]✓[/]" if goal.reached_by(figure.value) else "[red]✗[/]"
        table.add_row(goal.title, f"{_number(figure.value)} {goal.unit}", limit, mark, figure.detail)
    if measured:
        console.print(table)
    if missing := len(goals) - len(measured):
        console.print(f"not measured this time: {missing} of {len(goals)} goals")


def show_void(console: Console, measured: Iterable[Measured]) -> None:
    for one in measured:
        if one.run.faults:
            console.print(f"[red]void:[/] {one.cell.name} in round {one.round}: {'; '.join(one.run.faults)}")


def _shown(value: Median | None, quantity: Quantity) -> str:
    if value is None:
        return "-"
    number = getattr(value, quantity)
    return f"{number:,.0f}" if quantity == "rate" else f"{number:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.2f}"
