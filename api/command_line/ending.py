"""SIGTERM, Ctrl-C, and a terminal that hangs up: once is enough, and again changes nothing.

Whoever is told to end stops what it started, in order. A second signal in the middle of that would leave a database
or a broker behind; supervisors, and people, do send it. What is stopped has time limits of its own.

SIGHUP is an end like the others, with one worker or several: nothing is read again by a running process, as all settings are in its
environment. Under `nohup`, which ignores it, it stays ignored.
"""

import asyncio
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from socket import socket
from typing import Final, NoReturn

import uvicorn
from typing_extensions import override
from uvicorn.supervisors import Multiprocess

_TERMINAL: Final = (signal.SIGINT, signal.SIGHUP)
_ENDINGS: Final = (signal.SIGTERM, *_TERMINAL)


def unwind_when_told() -> None:
    """From here on each of the signals ends the process by way of its stack, with exit code 0."""
    for ending in _heeded():
        signal.signal(ending, _unwind)


def unwind_when_killed() -> None:
    """The same for a command that does one thing, which has then failed: it stops the database that it started. Ctrl-C does so anyway."""
    for ending in _heeded():
        if ending != signal.SIGINT:
            signal.signal(ending, _unwind_in_failure)


def stop_when_told() -> asyncio.Event:
    """From here on each of the signals sets this event of the running loop, and does nothing else."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def tell(*_: object) -> None:
        heed_no_more()
        # A loop that has ended meanwhile is what was asked for.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    for ending in _heeded():
        signal.signal(ending, tell)
    return stop


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


def heed_no_more() -> None:
    """The end has begun, and none of the signals changes anything any more."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


@contextmanager
def _terminal_held_back() -> Generator[None, None, None]:
    """The signals of a terminal wait, in this thread and in the processes that it starts meanwhile."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _heeded() -> list[signal.Signals]:
    """All of them but a SIGHUP that whoever started us has ignored, as `nohup` does."""
    return [ending for ending in _ENDINGS if ending != signal.SIGHUP or signal.getsignal(ending) != signal.SIG_IGN]


def _unwind(*_: object) -> NoReturn:
    heed_no_more()
    sys.exit(0)


def _unwind_in_failure(number: int, _: object) -> NoReturn:
    heed_no_more()
    sys.exit(128 + number)
