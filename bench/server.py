"""A server under test, as a process of its own."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.contender import Contender
from bench.cores import pin
from bench.process import memory

ROOT = Path(__file__).resolve().parent.parent
PATH = "/v1/me/notifications"
READY_WITHIN = 90.0
STOP_WITHIN = 15.0


class ServerFailed(Exception):
    """With the end of what it wrote."""


class Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log
        self.address = f"127.0.0.1:{port}"

    def wait_until_ready(self, token: str) -> None:
        """It is ready when it has answered a GET of a user."""
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._status(token) == 200:
                    return
            time.sleep(0.05)
        raise ServerFailed(f"{self.process.args} did not come up:\n{self._log.read_text(errors='replace')[-2000:]}")

    @property
    def resident(self) -> tuple[int, int]:
        """Bytes of memory in use by the process: now, and at most so far."""
        return memory(self.process.pid, "VmRSS"), memory(self.process.pid, "VmHWM")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _status(self, token: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def running(
    contender: Contender, settings: Mapping[str, str], cores: frozenset[int], token: str, log: Path
) -> Iterator[Server]:
    """Start it on these cores, wait until it serves, and stop it at the end, also after an error."""
    port = _free_port()
    # Nothing of the caller's environment but the path: what it sets for PostgreSQL or Python must not tip the scales.
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PORT": str(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            contender.command,
            cwd=contender.folder,
            env={**environment, **settings, **contender.settings},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            # A Ctrl-C is for us; we then stop the server.
            start_new_session=True,
            preexec_fn=lambda: pin(cores),
        )
    server = Server(process, port, log)
    try:
        server.wait_until_ready(token)
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
