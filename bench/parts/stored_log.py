"""PATCH with a log that is full already, against an empty one."""

from bench.contender import OURS
from bench.figure import Figure
from bench.pair import compare
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations

NAME = "stored"
CONNECTIONS = 32


def measure(stage: Stage) -> list[Figure]:
    size = stage.size
    # Spread over all those stored, so that their rows lie on pages far apart.
    step = size.stored_users // size.users
    users = stage.make_users("stored", [numbered(number * step) for number in range(size.users)])
    with stage.database("stored_full") as full, stage.database("stored_empty") as empty:
        migrations.migrate(full)
        fill(full, map(numbered, range(size.stored_users)), size.stored_events)
        with stage.trial(OURS, full, users=users) as crowded, stage.trial(OURS, empty, users=users) as alone:
            rates = compare(stage, crowded, alone, connections=CONNECTIONS)
    return [
        Figure(
            "stored.rate",
            rates.ratio,
            f"{rates.first:,.0f}/s with {size.stored_users * size.stored_events:,} events of "
            f"{size.stored_users:,} users, {rates.second:,.0f}/s with none, {CONNECTIONS} connections",
        )
    ]
