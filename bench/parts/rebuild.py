"""`preferences rebuild` of a whole log: how long, and how much memory, its part of PostgreSQL's included."""

from statistics import median

from bench.figure import Figure
from bench.spent import Spent, spent_by
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations

NAME = "rebuild"
TIMES = 4
"""As many events of the same users has the longer log: it is folded in as many strides, the other one in a single one."""


def measure(stage: Stage) -> list[Figure]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    runs = _rebuilds(stage, users, events, stage.size.rounds)
    [longer] = _rebuilds(stage, users, events * TIMES, 1)
    few, many = median(map(_memory, runs)), _memory(longer)
    return [
        Figure(
            "rebuild.seconds",
            median(run.seconds for run in runs),
            f"{users * events:,} events of {users:,} users",
        ),
        Figure(
            "rebuild.memory",
            many / few,
            f"{few:.0f} MB with {users * events:,} events of {users:,} users, "
            f"{many:.0f} MB with {users * events * TIMES:,}: {longer.client:.0f} MB the command, "
            f"{longer.server:.0f} MB PostgreSQL for it",
        ),
    ]


def _memory(run: Spent) -> float:
    return run.client + run.server


def _rebuilds(stage: Stage, users: int, events: int, times: int) -> list[Spent]:
    with stage.database("rebuild") as url:
        migrations.migrate(url)
        fill(url, map(numbered, range(users)), events)
        stage.settle()
        # Nobody to be compared with: PostgreSQL, which does the work, has the machine as in real life. That the log and the
        # current preferences agree is a part of what a rebuild finds out, so it would fail otherwise.
        with stage.unpinned():
            return [spent_by("rebuild", environment=stage.settings(url), of=url) for _ in range(times)]
