"""What the rounds come to. A void run counts for nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Literal

from bench.goals import GOALS, Figure
from bench.loads import Cell, Measured
from bench.wrk import Answers

Quantity = Literal["rate", "p50", "p99"]
Rounds = Mapping[Cell, Sequence[Answers]]


def rounds(measured: Iterable[Measured]) -> Rounds:
    """The answers of the runs that count, in the order of the rounds."""
    found = defaultdict(list)
    for one in measured:
        if not one.run.faults:
            found[one.cell].append(one.run.answers)
    return found


def shown(values: Sequence[float], quantity: Quantity) -> str:
    """Their median."""
    return f"{median(values):,.0f}" if quantity == "rate" else f"{median(values):.2f}"


def ratios(measured: Iterable[Measured]) -> list[Figure]:
    """For each goal of the form `load.quantity/contender` the median of the rounds' ratios of ours to theirs.

    Ratios are taken within a round, where both ran within seconds of each other, so that a slow minute of the machine
    takes both sides alike.
    """
    answers = {
        (one.cell.contender, one.cell.load, one.round): one.run.answers for one in measured if not one.run.faults
    }
    numbers = sorted({number for _, _, number in answers})
    figures = []
    for goal in GOALS:
        if "/" not in goal.figure:
            continue
        quantity, other = goal.figure.split("/")
        load, _, quantity = quantity.rpartition(".")
        pairs = [
            (getattr(answers["ours", load, number], quantity), getattr(answers[other, load, number], quantity))
            for number in numbers
            if {("ours", load, number), (other, load, number)} <= answers.keys()
        ]
        if pairs:
            unit = "/s" if quantity == "rate" else " ms"
            ours, theirs = (f"{shown(side, quantity)}{unit}" for side in zip(*pairs, strict=True))
            figures.append(Figure(goal.figure, median(a / b for a, b in pairs), f"{ours} against {theirs}"))
    return figures
