"""`preferences audit verify` of a whole log, and what checkpoints cost those who change their preferences meanwhile."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from bench.contender import OURS
from bench.figure import Figure
from bench.pair import compare
from bench.spent import Spent, spent_by
from bench.stage import Stage
from bench.stored_log import fill
from bench.users import numbered
from infrastructure import migrations

NAME = "audit"
CONNECTIONS = 32
INTERVAL = 1
"""Seconds between checkpoints, where they are on: sixty times as often as by default, so that a short run has some."""


def measure(stage: Stage) -> list[Figure]:
    return [_verification(stage), _checkpoints(stage)]


def _verification(stage: Stage) -> Figure:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.database("audit") as url:
        migrations.migrate(url)
        fill(url, map(numbered, range(users)), events)
        signed = _run(stage, url, "checkpoint")
        stage.settle()
        runs = [_run(stage, url, "verify", "--log-only") for _ in range(stage.size.rounds)]
    megabytes = median(run.client for run in runs)
    return Figure(
        "audit.rate",
        median(users * events / run.seconds for run in runs),
        f"{users * events:,} events, {megabytes:.0f} MB; signed in {signed.seconds:.1f} s",
    )


def _checkpoints(stage: Stage) -> Figure:
    with (
        stage.database("audit_signed") as signed,
        stage.database("audit_unsigned") as unsigned,
        stage.trial(OURS, signed) as one,
        stage.trial(OURS, unsigned) as other,
        _followed(stage, signed, INTERVAL),
        _followed(stage, unsigned, 0),
    ):
        rates = compare(stage, one, other, connections=CONNECTIONS)
    return Figure(
        "audit.patch",
        rates.ratio,
        f"{rates.first:,.0f}/s with a checkpoint every second, {rates.second:,.0f}/s with none, "
        f"{CONNECTIONS} connections",
    )


@contextmanager
def _followed(stage: Stage, url: str, interval: int) -> Iterator[None]:
    program, _ = OURS.command
    environment = {
        "PATH": os.environ["PATH"],
        **_environment(stage, url),
        "CHECKPOINT_INTERVAL": str(interval),
        "SWEEP_WITHIN": "0",
    }
    process = subprocess.Popen([program, "follow"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError("preferences follow ended")
    finally:
        process.terminate()
        process.wait()


def _run(stage: Stage, url: str, *command: str) -> Spent:
    return spent_by("audit", *command, environment=_environment(stage, url), cores=stage.cores.server)


def _environment(stage: Stage, url: str) -> Mapping[str, str]:
    # A file of its own for each database: what was signed of another log would be held against this one.
    name = url.rsplit("/", 1)[1].split("?")[0]
    return {**stage.settings(url), "CHECKPOINT_FILE": str(stage.work / f"{name}.checkpoints")}
