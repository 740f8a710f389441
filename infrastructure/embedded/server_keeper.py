"""Starts an embedded server again after it has died, as long as a service needs it."""

import os
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from infrastructure.embedded.process_end import WatchedProcess

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds before a dead server is started again. The pause doubles each time, until the server stays alive for longer."""

LOOK_EVERY: Final = 0.25
"""Seconds between two checks whether the server lives."""

log = structlog.get_logger("server")


class KeptServer(Protocol):
    """A server that several processes of the machine may use."""

    @property
    def pid(self) -> int: ...

    def start(self) -> None:
        """Make sure that a server runs. Another process may have started it. A restart keeps the address."""

    def stop(self) -> None:
        """Stop the server if this object started it."""


class ServerKeeper:
    """Keeps a server running inside its context: checks whether it lives, and starts it again if it has died.

    This includes a server that another process has started, because it may have been stopped together with that process. The process that
    starts it again stops it in the end.
    """

    def __init__(self, name: str, server: KeptServer, failures: type[Exception]) -> None:
        """`failures`: the error that `start` raises if the server can't be started."""
        self._name = name
        self._server = server
        self._failures = failures
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True)

    def __enter__(self) -> Self:
        self._server.start()
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        # Wait for a running start: it leaves a server, which then has to be stopped.
        self._keeper.join()
        self._server.stop()

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            if not self._has_died(self._server.pid):
                return
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            log.error("server died", server=self._name, process=self._server.pid, again_in=pause)
            while True:
                if self._ending.wait(pause):
                    return
                pause = min(pause * 2, LONGEST_PAUSE)
                try:
                    self._server.start()
                except self._failures as failure:
                    log.error("server did not start", server=self._name, reason=str(failure), again_in=pause)  # noqa: TRY400 - a sentence
                else:
                    log.warning("server runs again", server=self._name, process=self._server.pid)
                    break

    def _has_died(self, pid: int) -> bool:
        """True when the process has ended; False when the context ends first."""
        process = WatchedProcess(pid)
        try:
            while not process.has_ended():
                if self._ending.wait(LOOK_EVERY):
                    return False
        finally:
            process.close()
        # The first process of a container is the parent of all orphans. Then this process is our child, and we must wait for it.
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return True
