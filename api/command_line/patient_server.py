"""uvicorn's server, alone or with workers, which ends at the first signal. Only `serve` imports this module, and uvicorn with it."""

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from socket import socket

import structlog
import uvicorn
from typing_extensions import override
from uvicorn.supervisors import Multiprocess

from api.command_line.companion import FIRST_PAUSE, LONGEST_PAUSE
from api.command_line.ending import TERMINAL

log = structlog.get_logger("serve")


class PatientServer(uvicorn.Server):
    """A second Ctrl-C doesn't force the end, because that would skip the application's own shutdown. SIGHUP ends the server, too."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with super().capture_signals():
            former = signal.getsignal(signal.SIGHUP)
            if former != signal.SIG_IGN:
                signal.signal(signal.SIGHUP, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(signal.SIGHUP, former)

    @override
    def handle_exit(self, sig: int, frame: object) -> None:
        if not self.should_exit:
            super().handle_exit(sig, None)


class PatientMultiprocess(Multiprocess):
    """On a hang-up of the terminal, the master ends like a single process does. uvicorn's own would replace its workers.

    A worker that can't be started, because the machine is short of memory, processes or open files, is tried again, after a
    pause that doubles like a companion's. uvicorn's own master would end with the error, and take the other workers with it.

    The signals of a terminal reach the workers, too, which leave them to this process. A worker ignores them as soon as its code
    runs. From its start until then they are blocked; otherwise each interrupted worker would print a traceback of its imports.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().__init__(config, sockets)
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Start the tracker now: if it started together with the first worker, it would unblock SIGINT again.
        resource_tracker.ensure_running()
        self._pause = FIRST_PAUSE
        self._not_before = 0.0

    @override
    def init_processes(self) -> None:
        with _terminal_held_back():
            super().init_processes()

    @override
    def keep_subprocess_alive(self) -> None:
        if time.monotonic() < self._not_before:
            return
        try:
            with _terminal_held_back():
                super().keep_subprocess_alive()
        except OSError as error:
            # The dead worker stays in the list, so the next look finds it again.
            log.error("not started", command="worker", reason=str(error), again_in=self._pause)  # noqa: TRY400 - a sentence
            self._not_before = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        else:
            self._pause = FIRST_PAUSE

    @override
    def terminate_all(self) -> None:
        # Only the workers listen from now on. Otherwise the kernel would go on completing connections that no process accepts.
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    @override
    def handle_hup(self) -> None:
        self.handle_term()


@contextmanager
def _terminal_held_back() -> Generator[None, None, None]:
    """Block the signals of a terminal, in this thread and in the processes that it starts inside the context."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
