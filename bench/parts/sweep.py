"""Verifies everything against the log at once, and measures what the sweep at its default speed costs requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psycopg

from bench.command import running_beside, spent_by
from bench.contender import OURS_ALONE
from bench.goals import Figure
from bench.pair import compare
from bench.stage import Stage
from bench.stored_log import index_log
from bench.wrk import Method

NAME = "sweep"
BY_DEFAULT = "86400"
METHODS: tuple[Method, ...] = ("PATCH", "GET")


def measure(stage: Stage) -> list[Figure]:
    return [_at_once(stage), *_beside(stage)]


def _at_once(stage: Stage) -> Figure:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with _indexed(stage) as url, stage.unpinned():
        spent_by(stage, url, "audit", "checkpoint")
        stage.settle()
        runs = [spent_by(stage, url, "audit", "verify") for _ in range(stage.size.rounds)]
    megabytes = median(run.client + run.server for run in runs)
    detail = f"{users * events:,} events of {users:,} users, {megabytes:.0f} MB with PostgreSQL's for it"
    return Figure("sweep.rate", median(users * events / run.seconds for run in runs), detail)


def _beside(stage: Stage) -> list[Figure]:
    figures = []
    with (
        _indexed(stage) as swept,
        _indexed(stage) as unswept,
        stage.trial(OURS_ALONE, swept) as on,
        stage.trial(OURS_ALONE, unswept) as off,
        running_beside(stage, swept, "follow", CHECKPOINT_INTERVAL="0", SWEEP_WITHIN=BY_DEFAULT),
        running_beside(stage, unswept, "follow", CHECKPOINT_INTERVAL="0", SWEEP_WITHIN="0"),
    ):
        for method in METHODS:
            rates = compare(stage, on, off, method=method)
            detail = f"{rates.first:,.0f}/s with the sweep, {rates.second:,.0f}/s without, 32 connections"
            figures.append(Figure(f"sweep.{method.lower()}", rates.ratio, detail))
    return figures


@contextmanager
def _indexed(stage: Stage) -> Iterator[str]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.log(users, events) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            index_log(connection, users * events)
        yield url
