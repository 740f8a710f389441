"""p99 of PATCH on the primary, while two commands read a standby from end to end, and while none does."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg

from bench.command import spent_by
from bench.contender import OURS
from bench.goals import Figure
from bench.pair import CONNECTIONS
from bench.stage import Stage
from bench.stored_log import index_log
from bench.trial import Trial

NAME = "replica"
HEAVY = (("replay", "--to", "jsonl", "--output"), ("audit", "verify", "--database-only"))
"""What reads the whole log: the first into a file, which is named at the end."""


class Beside(NamedTuple):
    """Medians of p99, in milliseconds, with and without the two commands, and the median of the rounds' ratios."""

    read: float
    alone: float
    ratio: float


def measure(stage: Stage) -> list[Figure]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.log(users, events) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            index_log(connection, users * events)
        spent_by(stage, url, "audit", "checkpoint")
        with stage.standby(url) as standby, stage.trial(OURS, url) as trial:
            there = _compare(stage, trial, url, {"READ_DATABASE_URL": standby, "READ_LAG_LIMIT": "60"})
            here = _compare(stage, trial, url, {})
    detail = (
        f"{there.read:.1f} ms beside a replay and a verification on the standby, {there.alone:.1f} ms without; "
        f"on the primary {here.ratio:.2f} ×"  # noqa: RUF001 - a multiplication sign is what is meant
    )
    return [Figure("replica.p99", there.ratio, detail)]


def _compare(stage: Stage, trial: Trial, url: str, settings: Mapping[str, str]) -> Beside:
    pairs = []
    for _ in range(stage.size.rounds):
        stage.settle()
        alone = trial.run("PATCH", CONNECTIONS, stage.size.seconds).counted().answers.p99
        with _reading(stage, url, settings):
            read = trial.run("PATCH", CONNECTIONS, stage.size.seconds).counted().answers.p99
        pairs.append((read, alone))
    reads, alones = map(median, zip(*pairs, strict=True))
    return Beside(reads, alones, median(read / alone for read, alone in pairs))


@contextmanager
def _reading(stage: Stage, url: str, settings: Mapping[str, str]) -> Iterator[None]:
    """Both commands, again and again, on the cores that are not the server's. Raises `CommandFailed` if one of them didn't read."""
    over = threading.Event()

    def read(command: tuple[str, ...]) -> None:
        while not over.is_set():
            with TemporaryDirectory(dir=stage.work) as folder:
                output = [f"{folder}/log.jsonl"] if command[0] == "replay" else []
                spent_by(stage, url, *command, *output, cores=stage.cores.others, **settings)

    with ThreadPoolExecutor(len(HEAVY)) as threads:
        reading = [threads.submit(read, command) for command in HEAVY]
        try:
            yield
        finally:
            over.set()
    for each in reading:
        each.result()
