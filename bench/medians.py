"""What the rounds come to. A void run counts for nothing."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from statistics import median
from typing import Literal

from bench.goals import GOALS, Figure
from bench.lag import Lag
from bench.loads import Cell, Measured
from bench.trial import Run

Quantity = Literal["rate", "p50", "p99", "processor"]
Rounds = Mapping[Cell, Sequence[Run]]

UNITS = {"rate": "/s", "p50": " ms", "p99": " ms", "processor": " µs"}
FULL_LOAD = "patch.32"


def rounds(measured: Iterable[Measured]) -> Rounds:
    """The runs that count, in the order of the rounds."""
    found = defaultdict(list)
    for one in _counting(measured):
        found[one.cell].append(one.run)
    return found


def _counting(measured: Iterable[Measured]) -> list[Measured]:
    """Without those that are void, and those so short that nothing was answered."""
    return [one for one in measured if not one.run.faults and one.run.answers.answered]


def value(run: Run, quantity: str) -> float:
    """`processor`: microseconds of a request, over all processes."""
    if quantity == "processor":
        return run.processor.together / run.answers.answered * 1e6
    return float(getattr(run.answers, quantity))


def shown(values: Sequence[float], quantity: str) -> str:
    """Their median."""
    return f"{median(values):,.0f}" if quantity in ("rate", "processor") else f"{median(values):.2f}"


def ratios(measured: Iterable[Measured]) -> list[Figure]:
    """For each goal that names a contender, the median of the rounds' ratios of ours to theirs.

    Ratios are taken within a round, where both ran within seconds of each other, so that a slow minute of the machine
    takes both sides alike.
    """
    runs = {(one.cell.contender, one.cell.load, one.round): one.run for one in _counting(measured)}
    numbers = sorted({number for _, _, number in runs})
    figures = []
    for goal in GOALS:
        ours, _, theirs = goal.figure.partition("/")
        load, _, quantity = ours.rpartition(".")
        other, _, its_load = theirs.partition(".")
        sides = ("ours", load), (other, its_load or load)
        pairs = [
            tuple(value(runs[*side, number], quantity) for side in sides)
            for number in numbers
            if all((*side, number) in runs for side in sides)
        ]
        if theirs and pairs:
            first, second = (f"{shown(side, quantity)}{UNITS[quantity]}" for side in zip(*pairs, strict=True))
            ratio = median(a / b if b else math.inf for a, b in pairs)
            figures.append(Figure(goal.figure, ratio, f"{first} against {second}"))
    return figures


def of_index(measured: Iterable[Measured]) -> list[Figure]:
    """What the audit index of `ours` takes at full load, and the most that it was behind in any run."""
    found = [one for one in _counting(measured) if one.cell.contender == "ours" and one.run.tally]
    full = [(one.run, one.run.tally.events or 0) for one in found if one.run.tally and one.cell.load == FULL_LOAD]
    costs = [run.processor.index / events * 1e6 for run, events in full if events]
    if not costs:
        return []
    total = sum(events for _, events in full)
    most = reduce(Lag.at_most, (one.run.lag for one in found if one.run.lag is not None), Lag())
    loads = ", ".join(dict.fromkeys(str(one.cell.connections) for one in found))
    return [
        Figure(
            "index.processor", median(costs), f"its process and PostgreSQL's for it, {total:,} events of all rounds"
        ),
        Figure(
            "index.behind", most.seconds, f"and {most.events:,} events; all rounds of PATCH over {loads} connections"
        ),
    ]
