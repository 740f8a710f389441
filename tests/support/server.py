"""The real service as a process of its own, as `preferences serve` starts it."""

import os
import re
import signal
import subprocess
import tempfile
import time
from typing import IO, Any

import httpx

from tests.support.forked import Preferences
from tests.support.tokens import ISSUER, public_pem

PATH = "/v1/me/notifications"
READY_WITHIN = 120.0
"""Seconds after which one that doesn't answer never will, also on a busy machine."""
COMPLAINTS = ("never retrieved", "graceful shutdown exceeded")
"""What no server may ever say: that a task's error was nobody's, or that a task didn't end when it was told to."""


class Server:
    """Settings are given as keyword arguments, in lower case; by default keys come from a PEM and the port is any."""

    def __init__(self, database_url: str, **settings: Any) -> None:
        values = {
            "DATABASE_URL": database_url,
            "CLERK_ISSUER": ISSUER,
            "CLERK_JWT_KEY": public_pem(),
            "HOST": "127.0.0.1",
            "PORT": "0",
            "LOG_LEVEL": "info",
            "FOLLOWERS": "off",  # a test that wants them says so, and all the others start sooner
            "DRAIN": "0",  # no proxy stands before it, and every test would wait
            "CHECKPOINT_INTERVAL": "0",  # where they are on, they would leave a key and a file behind
            "SWEEP_WITHIN": "0",
            "DATABASE_STORAGE": "durable",  # the tests' shared PostgreSQL doesn't wait for the disk
            **{name.upper(): str(value) for name, value in settings.items() if value is not None},
        }
        for name, value in settings.items():
            if value is None:
                values.pop(name.upper(), None)
        self.database_url = database_url
        self.environment = {**os.environ, **values}
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self.process: subprocess.Popen[bytes]
        self.url = ""

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        said = self.log().decode()
        self._log.close()
        for complaint in COMPLAINTS:
            assert complaint not in said, said

    def launch(self) -> int:
        """Start it and wait for nothing; where in its log it begins."""
        self._log.seek(0, os.SEEK_END)
        mark = self._log.tell()
        self.process = Preferences(["serve"], env=self.environment, stdout=self._log, stderr=self._log)
        return mark

    def start(self) -> None:
        mark = self.launch()
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(rb" on (http://\S+)", self.log(mark)):
                self.url = found[1].decode()
                try:
                    if httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200:
                        # The port of the first start is kept: a restart is at the same address.
                        self.environment["PORT"] = self.url.rsplit(":", 1)[1]
                        return
                except httpx.TransportError:
                    pass
            time.sleep(0.02)
        raise RuntimeError(f"the server did not come up:\n{self.log(mark).decode()}")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL, to all processes of the server at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log(self, start: int = 0) -> bytes:
        """What the server has written to standard output and error, from a byte offset on."""
        return os.pread(self._log.fileno(), 1 << 26, start)
