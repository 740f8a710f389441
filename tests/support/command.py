"""The console script, run as an operator runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import structlog

from api.command_line import main
from tests.support.forked import Preferences

Result = subprocess.CompletedProcess[str]

# Settings of whoever runs the tests must not reach the command.
_OURS = (
    "AUDIT_",
    "CHECKPOINT_",
    "CLERK_",
    "DATABASE_URL",
    "DATA_DIR",
    "DEVELOPMENT_",
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "LOG_LEVEL",
    "CHANGE_",
    "FOLLOWERS",
    "ROLE_",
    "POSTGRES_",
    "READ_",
    "PUBLIC_",
    "UNSUBSCRIBE_",
    "SWEEP_",
    "NATS_",
    "OTEL_",
)


def environment(**settings: Any) -> dict[str, str]:
    """Settings are given as keyword arguments, in lower case; those that are None are left out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    given = {name.upper(): str(value) for name, value in settings.items() if value is not None}
    return {**inherited, "COLUMNS": "100", **given}


class Command:
    """`preferences`, with the settings given here, which a single run can add to."""

    def __init__(self, data_dir: Path, database_url: str | None = None) -> None:
        self.settings: dict[str, Any] = {
            "data_dir": data_dir,
            "database_url": database_url,
            "database_storage": "durable",  # the tests' shared PostgreSQL doesn't wait for the disk
        }

    def __call__(self, *arguments: str, **settings: Any) -> Result:
        with self.start(*arguments, **settings) as process:
            try:
                out, error = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        result = Result([*arguments], process.returncode, out, error)
        assert "Traceback" not in result.stderr + result.stdout
        return result

    def inside(self, monkeypatch: Any, capsys: Any, *arguments: str, **settings: Any) -> Result:
        """The same in this process, which saves a second: for commands that do nothing but refuse, or print."""
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in environment(**{**self.settings, **settings}).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["preferences", *arguments])
            former = {ending: signal.getsignal(ending) for ending in (signal.SIGTERM, signal.SIGHUP)}
            logging_of_the_tests = structlog.get_config()
            try:
                main()
                code = 0
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else 0
            finally:
                for ending, heeded in former.items():
                    signal.signal(ending, heeded)
                structlog.configure(**logging_of_the_tests)
        printed = capsys.readouterr()
        return Result([*arguments], code, printed.out, printed.err)

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
        return Preferences(
            [*arguments],
            env=environment(**{**self.settings, **settings}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_beside(self, log: IO[bytes], *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        """The same in a session of its own, for a command that runs on: what it says goes to the log."""
        return Preferences([*arguments], env=environment(**{**self.settings, **settings}), stdout=log, stderr=log)


def one_sentence(result: Result, code: int = 1) -> str:
    """What a command that failed said, which is one line on standard error and nothing else."""
    assert result.returncode == code, result
    assert result.stdout == ""
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")
