"""The load generator, which is a package of the system."""

import json
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

SCRIPT = Path(__file__).with_name("load.lua")
PATIENCE = "10s"
"""An answer that takes longer is an error."""

Method = Literal["GET", "PATCH", "MIXED", "DECIDE"]
"""MIXED: every fourth a PATCH."""


class WrkMissing(Exception):
    def __str__(self) -> str:
        return "The benchmark sends its load with wrk, which is not installed: `apt-get install wrk`, or `brew install wrk`."


@dataclass(frozen=True)
class Load:
    """`tokens` is a file with one for each user, `first` the number of the user who begins. `content` is a file: what each
    user chose last, as 0 and 1; for DECIDE the bodies of the requests, one a line, which are sent in turns.

    `pause`: milliseconds that a connection waits before each request. `origin`: the page that each request says it comes from.
    """

    method: Method
    connections: int
    seconds: float
    tokens: Path
    content: Path
    first: int = 0
    pause: int = 0
    origin: str | None = None


@dataclass(frozen=True)
class Answers:
    """What wrk saw: `refused` are answers other than 2xx, `broken` connections that failed. p50, p99 in milliseconds."""

    sent: int
    answered: int
    refused: int
    broken: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.answered - self.refused) / self.seconds


def program() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise WrkMissing
    return found


def send(load: Load, address: str) -> Answers:
    """Keep all connections busy for the time given; one thread, since one is faster than any contender."""
    seconds, result = load.seconds, load.content.with_suffix(".result")
    command = [program(), "-t1", f"-c{load.connections}", f"-d{ceil(seconds)}s", "--timeout", PATIENCE, "-s", SCRIPT]
    command += [f"http://{address}", "--", load.method, load.tokens, load.content, str(load.first), str(load.pause)]
    command += [] if load.origin is None else [load.origin]
    with subprocess.Popen(
        command, env={"BENCH_RESULT": str(result)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        # It counts whole seconds only; told to stop, it says what it has seen so far.
        if seconds != ceil(seconds):
            time.sleep(seconds)
            running.send_signal(signal.SIGINT)
        said, _ = running.communicate()
    if running.returncode != 0 or not result.exists():
        raise RuntimeError(f"wrk failed: {said[-1000:]}")
    answers = Answers(**json.loads(result.read_text()))
    result.unlink()
    return answers
