"""The contenders under the same loads, in rounds: one after the other at each load, so that a slow minute of the machine affects all of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from bench.contender import SERVERS
from bench.pgbench import MOST, Pgbench
from bench.selection import Selection
from bench.stage import Stage
from bench.trial import Run, Trial
from bench.wrk import Method
from infrastructure.postgres import migrations

SCRIPTS = ("database", "locked")
METHODS: tuple[Method, ...] = ("GET", "PATCH")


@dataclass(frozen=True)
class Cell:
    """A contender at a load."""

    contender: str
    method: Method
    connections: int

    @property
    def load(self) -> str:
        return f"{self.method.lower()}.{self.connections}"

    @property
    def name(self) -> str:
        return f"loads.{self.contender}.{self.load}"


@dataclass(frozen=True)
class Measured:
    """A cell in a round."""

    cell: Cell
    round: int
    run: Run


def cells(stage: Stage, selection: Selection) -> list[Cell]:
    """In the order in which they are measured: contenders side by side at each load."""
    found = []
    for method in METHODS:
        for connections in stage.size.connections:
            found += [Cell(contender.name, method, connections) for contender in SERVERS]
            if method == "PATCH" and connections <= MOST:
                found += [Cell(name, method, connections) for name in SCRIPTS]
    return [cell for cell in found if selection.has(cell.name)]


def measure(stage: Stage, wanted: list[Cell]) -> Iterator[Measured]:
    """Every cell once in every round."""
    with ExitStack() as stack:
        trials = _trials(stage, stack, {cell.contender for cell in wanted})
        for number in range(1, stage.size.rounds + 1):
            for cell in wanted:
                trial = trials[cell.contender]
                stage.settle()
                if stage.size.warm_up:
                    trial.run(cell.method, cell.connections, stage.size.warm_up)
                yield Measured(cell, number, trial.run(cell.method, cell.connections, stage.size.seconds))


def _trials(stage: Stage, stack: ExitStack, names: set[str]) -> dict[str, Trial | Pgbench]:
    """All are up at once and idle until it is their turn; each has a database of its own."""
    trials: dict[str, Trial | Pgbench] = {}
    for contender in SERVERS:
        if contender.name in names:
            trials[contender.name] = stack.enter_context(stage.trial(contender))
    for name in names.intersection(SCRIPTS):
        url = stack.enter_context(stage.database())
        migrations.migrate(url)
        trials[name] = pgbench = Pgbench(name, url, stage)
        stack.callback(pgbench.record.close)
    return trials
