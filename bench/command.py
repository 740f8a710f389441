"""Commands of `preferences`, and programs of the benchmark, that run as processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile

import psycopg

from bench.contender import OURS
from bench.cores import pin
from bench.process import memory
from bench.server import ROOT
from bench.stage import Stage
from bench.trial import VoidRun

LOOK_EVERY = 0.05
"""Seconds between two looks at the memory in use."""
NONE_IN_PARTICULAR: frozenset[int] = frozenset()


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


def spent_by(
    stage: Stage, url: str, *command: str, cores: frozenset[int] = NONE_IN_PARTICULAR, **settings: str
) -> Spent:
    """Run a `preferences` command to its end, on a database that nothing else uses.

    Memory is read while the process runs. The kernel's account of an ended child begins with the memory of its
    parent, which is larger here.
    """
    client = server = 0
    with TemporaryFile() as complaints, psycopg.connect(url, autocommit=True) as connection:
        started = time.monotonic()
        process = _started(stage, url, command, cores, complaints.fileno(), **settings)
        while process.poll() is None:
            client = max(client, memory(process.pid, "VmHWM"))
            server = max(server, sum(memory(pid, "RssAnon") for pid in _backends(connection)))
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
        seconds = time.monotonic() - started
        if process.returncode != 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")[-1000:]
            raise CommandFailed(f"preferences {' '.join(command)} failed: {said}")
    return Spent(seconds, client / 1e6, server / 1e6)


@contextmanager
def running_beside(
    stage: Stage, url: str, *command: str, cores: frozenset[int] = NONE_IN_PARTICULAR, **settings: str
) -> Iterator[None]:
    """Have a `preferences` command run until the block ends."""
    process = _started(stage, url, command, cores, subprocess.DEVNULL, **settings)
    try:
        yield
        if process.poll() is not None:
            raise CommandFailed(f"preferences {' '.join(command)} ended")
    finally:
        process.terminate()
        process.wait()


def rate_of(stage: Stage, module: str, *arguments: str, expected: int, **environment: str) -> float:
    """Run a module as a program, on the core that is otherwise the server's; the events a second that it handled.

    The program prints how many events it handled, and in how many seconds.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: pin(stage.cores.server),
    )
    events, seconds = done.stdout.split()[-2:]
    if int(events) != expected:
        raise VoidRun(f"{module} handled {events} of {expected} events")
    return expected / float(seconds)


def _started(
    stage: Stage, url: str, command: tuple[str, ...], cores: frozenset[int], complaints: int, **settings: str
) -> subprocess.Popen[bytes]:
    program, _ = OURS.command
    return subprocess.Popen(
        [program, *command],
        env={"PATH": os.environ["PATH"], **stage.settings(url), **settings},
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        preexec_fn=lambda: pin(cores),
    )


def _backends(connection: psycopg.Connection) -> list[int]:
    """PostgreSQL's processes for the connection's database, but for the connection's own."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [pid for (pid,) in connection.execute(query)]
