"""`preferences rebuild` of a whole log: how long, and how much memory."""

import os
import subprocess
import time
from dataclasses import dataclass
from statistics import median

from bench.contender import OURS
from bench.figure import Figure
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations

NAME = "rebuild"


@dataclass(frozen=True)
class Spent:
    """`seconds` from the start of the process to its end, `megabytes` (10⁶ bytes) at the most."""

    seconds: float
    megabytes: float


def measure(stage: Stage) -> list[Figure]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    spent = _rebuild(stage, users, events)
    # The same users twice, with four times as many events: memory may grow with the users only.
    few, many = (_rebuild(stage, users // 4, count) for count in (events, events * 4))
    return [
        Figure(
            "rebuild.seconds",
            spent.seconds,
            f"{users * events:,} events of {users:,} users, {spent.megabytes:.0f} MB",
        ),
        Figure(
            "rebuild.memory",
            many.megabytes / few.megabytes,
            f"{users // 4:,} users: {few.megabytes:.0f} MB with {users // 4 * events:,} events, "
            f"{many.megabytes:.0f} MB with {users * events:,}",
        ),
    ]


def _rebuild(stage: Stage, users: int, events: int) -> Spent:
    with stage.database("rebuild") as url:
        migrations.migrate(url)
        fill(url, map(numbered, range(users)), events)
        stage.settle()
        # Nobody to be compared with: PostgreSQL, which does the work, has the machine as in real life.
        with stage.unpinned():
            runs = [_run(stage, url) for _ in range(stage.size.rounds)]
        return Spent(median(run.seconds for run in runs), median(run.megabytes for run in runs))


def _run(stage: Stage, url: str) -> Spent:
    program, _ = OURS.command
    started = time.monotonic()
    process = subprocess.Popen(
        [program, "rebuild"],
        env={"PATH": os.environ["PATH"], **stage.settings(url)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    complaint = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        # That the log and the current preferences agree is a part of what a rebuild finds out, so 1 is a failure, too.
        raise RuntimeError(f"preferences rebuild failed: {complaint.decode(errors='replace')[-1000:]}")
    return Spent(time.monotonic() - started, used.ru_maxrss * 1024 / 1e6)
