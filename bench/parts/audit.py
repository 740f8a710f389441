"""`preferences audit verify` of a whole log, and what checkpoints cost the changes that are made at the same time."""

from statistics import median

from bench.command import running_beside, spent_by
from bench.contender import OURS_ALONE
from bench.goals import Figure
from bench.pair import compare
from bench.stage import Stage

NAME = "audit"
INTERVAL = 1
"""Seconds between checkpoints, where they are on: sixty times as often as by default, so that a short run has some."""


def measure(stage: Stage) -> list[Figure]:
    return [_verification(stage), _checkpoints(stage)]


def _verification(stage: Stage) -> Figure:
    users, events, core = stage.size.rebuilt_users, stage.size.rebuilt_events, stage.cores.server
    with stage.log(users, events) as url:
        signed = spent_by(stage, url, "audit", "checkpoint", cores=core)
        stage.settle()
        runs = [spent_by(stage, url, "audit", "verify", "--log-only", cores=core) for _ in range(stage.size.rounds)]
    detail = f"{users * events:,} events, {median(run.client for run in runs):.0f} MB; signed in {signed.seconds:.1f} s"
    return Figure("audit.rate", median(users * events / run.seconds for run in runs), detail)


def _checkpoints(stage: Stage) -> Figure:
    off = {"SWEEP_WITHIN": "0", "CHECKPOINT_INTERVAL": "0"}
    with (
        stage.trial(OURS_ALONE) as signed,
        stage.trial(OURS_ALONE) as unsigned,
        running_beside(stage, signed.url, "follow", **{**off, "CHECKPOINT_INTERVAL": str(INTERVAL)}),
        running_beside(stage, unsigned.url, "follow", **off),
    ):
        rates = compare(stage, signed, unsigned)
    detail = f"{rates.first:,.0f}/s with a checkpoint every second, {rates.second:,.0f}/s with none, 32 connections"
    return Figure("audit.patch", rates.ratio, detail)
