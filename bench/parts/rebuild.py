"""`preferences rebuild` of a whole log: how long, and how much memory, its part of PostgreSQL's included."""

from statistics import median

from bench.command import Spent, spent_by
from bench.goals import Figure
from bench.stage import Stage

NAME = "rebuild"
TIMES = 4
"""As many events of the same users has the longer log: it is folded in as many strides, the other one in a single one."""


def measure(stage: Stage) -> list[Figure]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    runs = _rebuilds(stage, users, events, stage.size.rounds)
    [longer] = _rebuilds(stage, users, events * TIMES, 1)
    few, many = median(run.client + run.server for run in runs), longer.client + longer.server
    few_events = f"{users * events:,} events of {users:,} users"
    detail = (
        f"{few:.0f} MB with {few_events}, {many:.0f} MB with {users * events * TIMES:,}: "
        f"{longer.client:.0f} MB the command, {longer.server:.0f} MB PostgreSQL for it"
    )
    return [
        Figure("rebuild.seconds", median(run.seconds for run in runs), few_events),
        Figure("rebuild.memory", many / few, detail),
    ]


def _rebuilds(stage: Stage, users: int, events: int, times: int) -> list[Spent]:
    # Nothing is compared with: PostgreSQL, which does the work, has the whole machine as in production. That the log and the
    # current preferences agree is a part of what a rebuild finds out, so it would fail otherwise.
    with stage.log(users, events) as url, stage.unpinned():
        stage.settle()
        return [spent_by(stage, url, "rebuild") for _ in range(times)]
