"""What the rounds come to. A void run counts for nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from bench.figure import Figure
from bench.goals import GOALS
from bench.loads import Cell, Measured


@dataclass(frozen=True)
class Median:
    """Requests a second; latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


def medians(measured: Iterable[Measured]) -> dict[Cell, Median]:
    runs = defaultdict(list)
    for one in measured:
        if not one.run.faults:
            runs[one.cell].append(one.run.answers)
    return {
        cell: Median(*(median(getattr(answers, name) for answers in found) for name in ("rate", "p50", "p99")))
        for cell, found in runs.items()
    }


def ratios(measured: Iterable[Measured]) -> list[Figure]:
    """For each goal of the form `load.quantity/contender` the median of the rounds' ratios of ours to theirs.

    Ratios are taken within a round, where both ran within seconds of each other, so that a slow minute of the machine
    takes both sides alike.
    """
    answers = {
        (one.cell.contender, one.cell.load, one.round): one.run.answers for one in measured if not one.run.faults
    }
    rounds = sorted({number for _, _, number in answers})
    figures = []
    for goal in GOALS:
        if "/" not in goal.figure:
            continue
        quantity, other = goal.figure.split("/")
        load, _, quantity = quantity.rpartition(".")
        pairs = [
            (getattr(answers["ours", load, number], quantity), getattr(answers[other, load, number], quantity))
            for number in rounds
            if {("ours", load, number), (other, load, number)} <= answers.keys()
        ]
        if pairs:
            figures.append(_figure(goal.figure, pairs, quantity))
    return figures


def _figure(name: str, pairs: list[tuple[float, float]], quantity: str) -> Figure:
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    unit = "/s" if quantity == "rate" else " ms"
    shown = (lambda value: f"{value:,.0f}") if quantity == "rate" else (lambda value: f"{value:.2f}")
    return Figure(name, median(a / b for a, b in pairs), f"{shown(ours)}{unit} against {shown(theirs)}{unit}")


def as_json(found: Mapping[Cell, Median]) -> list[dict[str, object]]:
    return [{**vars(cell), **vars(value)} for cell, value in found.items()]
