"""Everything held against the log at once, and what the sweep costs at its default speed those who are served meanwhile."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import psycopg

from bench.contender import OURS
from bench.figure import Figure
from bench.pair import compare
from bench.spent import spent_by
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations

NAME = "sweep"
CONNECTIONS = 32
BY_DEFAULT = 86_400


def measure(stage: Stage) -> list[Figure]:
    return [_at_once(stage), *_beside(stage)]


def _at_once(stage: Stage) -> Figure:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.database("sweep") as url, stage.unpinned():
        _fill(url, users, events)
        spent_by("audit", "checkpoint", environment=stage.settings(url))
        stage.settle()
        runs = [spent_by("audit", "verify", environment=stage.settings(url), of=url) for _ in range(stage.size.rounds)]
    megabytes = median(run.client + run.server for run in runs)
    return Figure(
        "sweep.rate",
        median(users * events / run.seconds for run in runs),
        f"{users * events:,} events of {users:,} users, {megabytes:.0f} MB with PostgreSQL's for it",
    )


def _beside(stage: Stage) -> list[Figure]:
    figures = []
    with ExitStack() as stack:
        urls = [stack.enter_context(stage.database(name)) for name in ("sweep_on", "sweep_off")]
        for url in urls:
            _fill(url, stage.size.rebuilt_users, stage.size.rebuilt_events)
        on, off = (stack.enter_context(stage.trial(OURS, url)) for url in urls)
        stack.enter_context(_followed(stage, urls[0], BY_DEFAULT))
        stack.enter_context(_followed(stage, urls[1], 0))
        for method in ("PATCH", "GET"):
            rates = compare(stage, on, off, connections=CONNECTIONS, method=method)
            figures.append(
                Figure(
                    f"sweep.{method.lower()}",
                    rates.ratio,
                    f"{rates.first:,.0f}/s with the sweep, {rates.second:,.0f}/s without, {CONNECTIONS} connections",
                )
            )
    return figures


def _fill(url: str, users: int, events: int) -> None:
    """With the index as its follower makes it."""
    migrations.migrate(url)
    fill(url, map(numbered, range(users)), events)
    with psycopg.connect(url, autocommit=True) as connection:
        [(end,)] = connection.execute("SELECT max(notification_id) FROM preferences_events").fetchall()
        connection.execute("SELECT index_events(0, %s)", [end])
        connection.execute("INSERT INTO followers (name, position) VALUES ('audit-index', %s)", [end])
        connection.execute("VACUUM (ANALYZE) audit_entries, audit_classes")


@contextmanager
def _followed(stage: Stage, url: str, within: int) -> Iterator[None]:
    program, _ = OURS.command
    settings = {**stage.settings(url), "CHECKPOINT_INTERVAL": "0", "SWEEP_WITHIN": str(within)}
    process = subprocess.Popen(
        [program, "follow"], env={"PATH": os.environ["PATH"], **settings}, stderr=subprocess.DEVNULL
    )
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError("preferences follow ended")
    finally:
        process.terminate()
        process.wait()
