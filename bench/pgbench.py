"""The contender `database`: what PostgreSQL itself can do, asked by pgbench, which does nothing else."""

import os
import re
import subprocess
from pathlib import Path

import psycopg

from bench.contender import OURS
from bench.cores import pin
from bench.record import Record
from bench.stored_log import stream_of
from bench.trial import Run
from bench.users import User
from bench.wrk import Answers, Method
from infrastructure.event_codec import encode
from infrastructure.postgres_binaries import PostgresBinaries

MOST = 32
"""Connections. More than these one reaches through a pool, and PostgreSQL would only get slower."""

# The service's own function, and so the same lock, append, update and commit; the version that the service brings along
# is looked up in the same statement. Each client has users of its own: no two append to one stream at a time.
SCRIPT = r"""
\set user random(1, 60)
SELECT append_events(
    ARRAY[s.stream], ARRAY[s.version], ARRAY['org_bench'], ARRAY[s.name], ARRAY[s.version + 1],
    ARRAY[jsonb_build_object('email.weekly_usage_digest', s.version % 2 = 0)::text], ARRAY[now()],
    ARRAY[s.stream], ARRAY[s.version + 1], ARRAY['{topic}'], ARRAY['{state}'::bytea])
FROM (SELECT stream, name, coalesce(c.version, 0) AS version
      FROM (SELECT 'user_' || :client_id::text || '_' || :user::text AS name) u
      CROSS JOIN LATERAL (SELECT md5(name)::uuid) i (stream)
      LEFT JOIN current_preferences c ON c.originator_id = stream) s;
"""


class Pgbench:
    """Runs like a `Trial`. The program has the core that is otherwise the server's."""

    def __init__(self, url: str, work: Path, cores: frozenset[int]) -> None:
        self._url, self._work, self._cores = url, work, cores
        self.record = Record(OURS, url)
        _, (sample, _) = stream_of(User("org_bench", "user_2bench0000000000000001"), 2)
        stored = encode(sample)
        self._script = work / "pgbench.sql"
        text = SCRIPT.replace("{topic}", stored.topic).replace("{state}", "\\x" + stored.state.hex())
        self._script.write_text(text)

    def run(self, method: Method, connections: int, seconds: int) -> Run:
        assert method == "PATCH"
        position = self.record.position()
        prefix = self._work / "pgbench-latency"
        program = PostgresBinaries.locate().folder / "pgbench"
        command = [program, "-n", "-M", "prepared", f"-c{connections}", "-j1", f"-T{seconds}", "-f", self._script]
        done = subprocess.run(
            [*command, "--log", f"--log-prefix={prefix}", psycopg.conninfo.make_conninfo(self._url)],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: pin(self._cores),
        )
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or found is None:
            raise RuntimeError(f"pgbench failed: {done.stderr[-1000:]}")
        latencies = _latencies(prefix)
        count = len(latencies)
        p50, p99 = latencies[count // 2], latencies[min(count * 99 // 100, count - 1)]
        answers = Answers(count, count, 0, 0, count / float(found[1]), p50, p99)
        events = self.record.events(position)
        return Run(answers, [] if events == count else [f"{events} events of {count} transactions"])


def _latencies(prefix: Path) -> list[float]:
    """In milliseconds, in ascending order; the third column of pgbench's log is microseconds."""
    latencies: list[float] = []
    for file in prefix.parent.glob(f"{prefix.name}.*"):
        latencies += [int(line.split(maxsplit=3)[2]) / 1000 for line in file.read_text().splitlines()]
        file.unlink()
    return sorted(latencies)
