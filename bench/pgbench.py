"""The contenders `database` and `locked`: pgbench measures what PostgreSQL alone can do."""

import os
import re
import subprocess
from dataclasses import replace
from itertools import islice
from math import ceil
from pathlib import Path

import psycopg

from bench.contender import OURS
from bench.cores import pin
from bench.processor import Processor
from bench.record import Record
from bench.stage import Stage
from bench.stored_log import stream_of
from bench.trial import Run
from bench.users import User
from bench.wrk import Answers, Method
from infrastructure.embedded.postgres.binaries import PostgresBinaries
from infrastructure.log.event_codec import encode
from infrastructure.log.sealing import new_key

MOST = 32
"""Connections. A service reaches PostgreSQL through a pool, and with more connections PostgreSQL only gets slower."""

SHORTEST = 2
"""Seconds. On a busy machine the clients may take the first one to connect."""
LONGER = 5
"""How many times as long a run is that comes after one without a transaction."""

SCRIPT = Path(__file__).with_name("contenders") / "database.sql"


class Pgbench:
    """Runs like a `Trial`. The program has the core that is otherwise the server's."""

    def __init__(self, name: str, url: str, stage: Stage) -> None:
        self._url, self._cores = url, stage.cores.server
        self._prefix = stage.work / f"{name}-latency"
        self.record = Record(OURS, url)
        self._account = stage.account(self.record)
        self._script = stage.work / f"{name}.sql"
        *_, sample = islice(stream_of(User("org_bench", "user_2bench0000000000000001")), 2)
        stored = encode(sample, new_key())
        places = {
            "topic": stored.topic,
            "state": rf"\x{stored.state.hex()}",
            "sealed_actor": rf"\x{stored.sealed_actor.hex()}",
        }
        script = SCRIPT.read_text().replace("--locked: ", "" if name == "locked" else "-- ")
        self._script.write_text(re.sub("@([a-z_]+)@", lambda place: places[place[1]], script))

    def run(self, method: Method, connections: int, seconds: float) -> Run:
        assert method == "PATCH"
        position = self.record.position()
        spent = self._so_far()
        program = PostgresBinaries.locate().folder / "pgbench"
        command = [
            program,
            "-n",
            "-M",
            "prepared",
            f"-c{connections}",
            "-j1",
            f"-T{max(SHORTEST, ceil(seconds))}",
            "-f",
            self._script,
        ]
        done = subprocess.run(
            [*command, "--log", f"--log-prefix={self._prefix}", psycopg.conninfo.make_conninfo(self._url)],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: pin(self._cores),
        )
        if done.returncode == 0 and "actually processed: 0\n" in done.stdout:
            # On a busy machine the clients were still connecting when the time was over.
            return self.run(method, connections, LONGER * max(SHORTEST, seconds))
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or found is None:
            raise RuntimeError(f"pgbench failed: {done.stdout[-500:]}{done.stderr[-500:]}")
        processor = self._so_far() - spent
        latencies = _latencies(self._prefix)
        count = len(latencies)
        p50, p99 = latencies[count // 2], latencies[min(count * 99 // 100, count - 1)]
        answers = Answers(count, count, 0, 0, count / float(found[1]), p50, p99)
        events = self.record.events(position)
        return Run(answers, processor, [] if events == count else [f"{events} events of {count} transactions"])

    def _so_far(self) -> Processor:
        """The program is the server here, and has ended."""
        ended = os.times()
        return replace(self._account.so_far(), server=ended.children_user + ended.children_system)


def _latencies(prefix: Path) -> list[float]:
    """In milliseconds, in ascending order; the third column of pgbench's log is microseconds."""
    latencies: list[float] = []
    for file in prefix.parent.glob(f"{prefix.name}.*"):
        latencies += [int(line.split(maxsplit=3)[2]) / 1000 for line in file.read_text().splitlines()]
        file.unlink()
    return sorted(latencies)
