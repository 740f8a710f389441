"""p99 of PATCH on the primary while a standby is replayed from and verified, and while nothing is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from tempfile import NamedTemporaryFile

import psycopg

from bench.command import spent_by
from bench.contender import OURS
from bench.goals import Figure
from bench.pair import CONNECTIONS
from bench.stage import Stage
from bench.stored_log import index_log

NAME = "replica"
HEAVY = (("replay", "--to", "jsonl", "--output"), ("audit", "verify", "--database-only"))
"""What reads the whole log: the first into a file, which is named at the end."""


def measure(stage: Stage) -> list[Figure]:
    users, events = stage.size.rebuilt_users, stage.size.rebuilt_events
    with stage.log(users, events) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            index_log(connection, users * events)
        spent_by(stage, url, "audit", "checkpoint")
        figures = []
        with stage.standby(url) as standby, stage.trial(OURS, url) as trial:
            for name, title, reading in (
                ("replica.p99", "on the standby", {"READ_DATABASE_URL": standby, "READ_LAG_LIMIT": "60"}),
                ("primary.p99", "on the primary", {}),
            ):
                pairs = []
                for _ in range(stage.size.rounds):
                    stage.settle()
                    alone = trial.run("PATCH", CONNECTIONS, stage.size.seconds).counted().answers.p99
                    with _read_again_and_again(stage, url, reading):
                        beside = trial.run("PATCH", CONNECTIONS, stage.size.seconds).counted().answers.p99
                    pairs.append((beside, alone))
                besides, alones = map(median, zip(*pairs, strict=True))
                detail = f"{besides:.1f} ms beside a replay and a verification {title}, {alones:.1f} ms without"
                figures.append(Figure(name, median(beside / alone for beside, alone in pairs), detail))
    return figures


@contextmanager
def _read_again_and_again(stage: Stage, url: str, settings: dict[str, str]) -> Iterator[None]:
    """Two commands at a time, on the cores that are not the server's."""
    over = threading.Event()

    def read(command: tuple[str, ...]) -> None:
        while not over.is_set():
            with NamedTemporaryFile(dir=stage.work) as file:
                output = [f"{file.name}.jsonl"] if command[0] == "replay" else []
                spent_by(stage, url, *command, *output, cores=stage.cores.others, **settings)

    threads = [threading.Thread(target=read, args=[command]) for command in HEAVY]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
