"""This release against a former revision of itself, in turns: whether a change made the hot path slower.

Both run as `make run` starts them, with all that follows the log, on the same core.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contender import OURS, Contender
from bench.figure import Figure
from bench.goals import Goal
from bench.pair import compare
from bench.server import ROOT
from bench.stage import Stage
from bench.wrk import Method

CONNECTIONS = 32
METHODS: tuple[Method, ...] = ("PATCH", "GET")
GOALS = tuple(
    Goal(f"former.{method.lower()}", f"{method}/s at {CONNECTIONS} connections, against the former revision", "≥", 0.98)
    for method in METHODS
)


def measure(stage: Stage, revision: str) -> list[Figure]:
    with (
        _checked_out(stage, revision) as folder,
        stage.database("former_now") as now_url,
        stage.database("former_then") as then_url,
        stage.trial(_as_shipped(stage, OURS, "now"), now_url) as now,
        stage.trial(_as_shipped(stage, _former(folder), "then"), then_url) as then,
    ):
        figures = []
        for method in METHODS:
            rates = compare(stage, now, then, connections=CONNECTIONS, method=method)
            detail = f"{rates.first:,.0f}/s against {rates.second:,.0f}/s of {revision}, {stage.size.rounds} rounds"
            figures.append(Figure(f"former.{method.lower()}", rates.ratio, detail))
        return figures


def _former(folder: Path) -> Contender:
    command = (sys.executable, "-m", "api.command_line")

    def migrate(url: str) -> None:
        subprocess.run([*command, "migrate"], cwd=folder, env={"DATABASE_URL": url}, check=True, capture_output=True)

    return replace(OURS, name="former", command=(*command, "serve"), folder=folder, prepare=migrate)


def _as_shipped(stage: Stage, contender: Contender, name: str) -> Contender:
    # A file of its own for each: what was signed of one log would be held against the other.
    return replace(
        contender, settings={"FOLLOWERS": "on", "CHECKPOINT_FILE": str(stage.work / f"former_{name}.checkpoints")}
    )


@contextmanager
def _checked_out(stage: Stage, revision: str) -> Iterator[Path]:
    """The former revision's own files. The libraries are those that are installed now, for both."""
    folder = stage.work / "former"
    _git("worktree", "add", "--detach", str(folder), revision)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True)
