"""What a command costs from its start to its end."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import psycopg

from bench.contender import OURS
from bench.cores import pin

LOOK_EVERY = 0.05
"""Seconds between two looks at the memory in use."""


class CommandFailed(Exception):
    """With the end of what it wrote."""


@dataclass(frozen=True)
class Spent:
    """`seconds` from the start of the process to its end. Of memory, in megabytes (10⁶ bytes), the most there was:
    `client` is the process's own, `server` that of PostgreSQL's processes for it together, without what all of
    them share."""

    seconds: float
    client: float
    server: float


def spent_by(*command: str, environment: Mapping[str, str], cores: frozenset[int] = frozenset(), of: str = "") -> Spent:
    """Run a `preferences` command to its end. With `of`, the database that nobody else uses, its server's side is watched, too.

    Memory is read from the kernel's account of the running process. What the system tells of one that has ended begins with the
    memory of whoever started it, which here is larger.
    """
    program, _ = OURS.command
    client = server = 0
    with TemporaryFile() as complaints, _backends(of) as backends:
        started = time.monotonic()
        process = subprocess.Popen(
            [program, *command],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            preexec_fn=lambda: pin(cores),
        )
        while process.poll() is None:
            client = max(client, _kilobytes(process.pid, "VmHWM"))
            server = max(server, sum(_kilobytes(pid, "RssAnon") for pid in backends()))
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
        seconds = time.monotonic() - started
        if process.returncode != 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")[-1000:]
            raise CommandFailed(f"preferences {' '.join(command)} failed: {said}")
    return Spent(seconds, client * 1024 / 1e6, server * 1024 / 1e6)


@contextmanager
def _backends(url: str) -> Iterator[Callable[[], list[int]]]:
    """A function that names PostgreSQL's processes for a database, but for the one that it asks."""
    if not url:
        yield list
        return
    with psycopg.connect(url, autocommit=True) as connection:

        def pids() -> list[int]:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            return [pid for (pid,) in connection.execute(query)]

        yield pids


def _kilobytes(pid: int, name: str) -> int:
    """0 where the process has ended."""
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0
