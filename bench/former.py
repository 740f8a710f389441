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
from bench.goals import Figure, Goal
from bench.pair import compare
from bench.server import ROOT
from bench.stage import Stage
from bench.wrk import Method

METHODS: tuple[Method, ...] = ("PATCH", "GET")
GOALS = tuple(
    goal
    for method in METHODS
    for goal in (
        Goal(f"former.{method.lower()}", f"{method}/s at 32 connections, against the former revision", "≥", 0.98),
        Goal(
            f"former.{method.lower()}.processor", f"processor time of a {method}, all processes, against it", "≤", 1.02
        ),
    )
)


def measure(stage: Stage, revision: str) -> list[Figure]:
    with (
        _checked_out(stage, revision) as folder,
        stage.trial(OURS) as now,
        stage.trial(_former(folder)) as then,
    ):
        figures = []
        for method in METHODS:
            rates = compare(stage, now, then, method=method)
            detail = f"{rates.first:,.0f}/s against {rates.second:,.0f}/s of {revision}, {stage.size.rounds} rounds"
            figures += [
                Figure(f"former.{method.lower()}", rates.ratio, detail),
                Figure(f"former.{method.lower()}.processor", rates.processor, "with the followers and PostgreSQL's"),
            ]
        return figures


def _former(folder: Path) -> Contender:
    command = (sys.executable, "-m", "api.command_line")

    def migrate(url: str) -> None:
        subprocess.run([*command, "migrate"], cwd=folder, env={"DATABASE_URL": url}, check=True, capture_output=True)

    return replace(OURS, command=(*command, "serve"), folder=folder, prepare=migrate)


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
