"""uvicorn's server, alone or with workers, which ends once it is told to. `serve` alone imports it, and uvicorn with it."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from socket import socket

import uvicorn
from typing_extensions import override
from uvicorn.supervisors import Multiprocess

from api.command_line.ending import TERMINAL


class PatientServer(uvicorn.Server):
    """A second Ctrl-C doesn't force the first one: it would skip the application's own end. SIGHUP is an end as well."""

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
    """Ends when a terminal hangs up, as a single process does, instead of replacing its workers.

    A terminal's signals reach the workers, too, which leave them to this process. A worker ignores them as soon as it is there; from its
    first moment until then they are held back, or each worker would print where in its imports it was interrupted.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().__init__(config, sockets)
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        resource_tracker.ensure_running()  # started together with the first worker, it would let SIGINT through again

    @override
    def init_processes(self) -> None:
        with _terminal_held_back():
            super().init_processes()

    @override
    def keep_subprocess_alive(self) -> None:
        with _terminal_held_back():
            super().keep_subprocess_alive()

    @override
    def handle_hup(self) -> None:
        self.handle_term()


@contextmanager
def _terminal_held_back() -> Generator[None, None, None]:
    """The signals of a terminal wait, in this thread and in the processes that it starts meanwhile."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
