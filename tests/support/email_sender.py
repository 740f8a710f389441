"""The example of an e-mail sender as a process of its own, and what its replica says."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.email_sender.decision import Decision, decide
from examples.email_sender.replica import Place, Replica
from tests.support import processes
from tests.support.command import environment

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds in which what is waited for has happened, also on a busy machine."""

EVER = 1e9
"""Seconds. A bound for when a test isn't about age."""


class EmailSender:
    def __init__(self, folder: Path, **settings: Any) -> None:
        """Settings are those of its environment: `nats_url`, `service_url`, or what the relay needs that it starts itself."""
        self.file = folder / "replica.sqlite"
        self._log = folder / "sender.log"
        self._settings = {"replica": self.file, **settings}
        self.process: subprocess.Popen[bytes]
        # Made here, so that it can be asked from the start.
        with Replica.write(self.file):
            pass
        self._replica = Replica.read(self.file)

    def start(self, *options: str) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.email_sender", "follow", *options],
                cwd=ROOT,
                env=environment(**self._settings),
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        processes.kill(self.process.pid)
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._replica.__exit__()

    def said(self) -> str:
        return self._log.read_text()

    def place(self) -> Place:
        return self._replica.place()

    def decided(self, user: str, toggle: str, bound: float = EVER, organization: str | None = "org_math") -> Decision:
        return decide(self._replica, organization, user, "email", toggle, now=time.time(), bound=bound)

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
