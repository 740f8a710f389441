"""What the rounds of the benchmark come to."""

from collections.abc import Sequence
from typing import Any

import pytest

from bench.goals import Figure
from bench.lag import Lag
from bench.loads import Cell, Measured
from bench.medians import of_index, ratios
from bench.processor import Processor
from bench.report import of_run
from bench.tally import Tally
from bench.trial import Run
from bench.wrk import Answers, Method


def measured(
    contender: str,
    connections: int = 32,
    *,
    method: Method = "PATCH",
    number: int = 1,
    rate: int = 1000,
    p99: float = 1.0,
    processor: Processor | None = None,
    lag: Lag | None = None,
    faults: Sequence[str] = (),
) -> Measured:
    """A second of a contender, in which each request is answered and recorded."""
    answers = Answers(rate, rate, 0, 0, 1.0, p99 / 2, p99)
    tally = Tally(connections, rate, rate, 0, rate, 0) if method == "PATCH" else None
    run = Run(answers, processor or Processor(), faults, tally, lag)
    return Measured(Cell(contender, method, connections), number, run)


def named(figures: Sequence[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # Given three rounds, in one of which the machine was half as fast for both, and in one only for ours,
    rates = {1: (4000, 1000), 2: (2000, 500), 3: (2000, 1000)}
    runs = [
        measured(name, number=number, rate=rate)
        for number, both in rates.items()
        for name, rate in zip(("ours", "crud"), both, strict=True)
    ]
    # then the ratio is that of most rounds.
    assert named(ratios(runs))["patch.32.rate/crud"].value == 4


def test_a_void_run_has_no_part_in_a_ratio() -> None:
    void = measured("ours", number=2, rate=9000, faults=["a lost event"])
    runs = [measured("ours"), measured("crud"), void, measured("crud", number=2)]
    assert named(ratios(runs))["patch.32.rate/crud"].value == 1


def test_one_load_of_ours_is_compared_with_another_one() -> None:
    runs = [measured("ours", 256, rate=1500), measured("ours", 32, rate=1000)]
    assert named(ratios(runs))["patch.256.rate/ours.patch.32"].value == 1.5


def test_processor_time_is_compared_over_all_processes() -> None:
    ours = measured("ours", processor=Processor(server=0.1, followers=0.05, postgres=0.05))
    crud = measured("crud", rate=500, processor=Processor(server=0.2, postgres=0.05))
    found = named(ratios([ours, crud]))["patch.32.processor/crud"]
    assert found.value == pytest.approx(0.4)
    assert found.detail == "200 µs against 500 µs"


def test_the_cost_of_the_index_is_that_of_an_event_and_its_lag_the_most_of_all_rounds() -> None:
    runs = [
        measured("ours", processor=Processor(index=0.03), lag=Lag(10, 0.5)),
        measured("ours", number=2, processor=Processor(index=0.01), lag=Lag(20, 0.1)),
        measured("ours", number=3, processor=Processor(index=0.02), lag=Lag(5, 0.2)),
        measured("ours", 256, lag=Lag(300, 0.4)),
        measured("ours_alone", lag=Lag(9000, 9.0)),
    ]
    found = named(of_index(runs))
    assert found["index.processor"].value == pytest.approx(20)
    assert found["index.behind"].value == 0.5
    assert "300 events" in found["index.behind"].detail


def test_without_a_run_of_ours_nothing_is_said_of_the_index() -> None:
    assert of_index([measured("crud"), measured("ours", 1)]) == []


def report(*runs: Measured, figures: Sequence[Figure] = (), left_out: Any = ()) -> str:
    return of_run(runs, figures, dict(left_out))


def test_the_parts_of_the_processor_time_are_those_of_one_run() -> None:
    runs = [
        measured("ours", number=number, processor=Processor(server, followers, postgres))
        for number, (server, followers, postgres) in enumerate([(0.3, 0.1, 0.1), (0.1, 0.1, 0.1), (0.1, 0.2, 0.3)])
    ]
    assert "| 500 (300 + 100 + 100) |" in report(*runs)


def test_a_figure_that_this_machine_cannot_show_is_not_judged() -> None:
    shown = report(figures=[Figure("workers.rate", 0.9, "on 2 cores", judged=False)])
    assert "| not judged |" in shown
    assert "**no**" in report(figures=[Figure("workers.rate", 0.9, "on 4 cores")])


def test_a_contender_that_is_left_out_is_named_with_the_reason() -> None:
    assert "Left out: node, because it needs Node" in report(left_out={"node": "it needs Node"})
