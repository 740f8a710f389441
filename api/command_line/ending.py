"""Ends a command after SIGTERM, Ctrl-C, or the hang-up of a terminal. The first signal counts; further ones change nothing.

A command that ends stops all that it has started, in order. A second signal in the middle of that would leave a database or
a broker running, and supervisors and people do send second signals. Each part that is stopped has a time limit of its own.

SIGHUP ends a command like the other signals, with one worker or several. It can't mean "read the settings again", because all
settings are in the environment of the process. Under `nohup`, SIGHUP stays ignored.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

TERMINAL: Final = (signal.SIGINT, signal.SIGHUP)
_ENDINGS: Final = (signal.SIGTERM, *TERMINAL)


def exit_on_signal() -> None:
    """From now on, each of the signals ends the process with exit code 0. The stack is unwound, so contexts are closed."""
    for ending in _heeded():
        signal.signal(ending, _unwind)


def fail_on_signal() -> None:
    """The same for a command with a single task, which has then failed: the exit code is 128 plus the number of the signal.

    Unwinding the stack stops a database that the command started. Ctrl-C does this anyway.
    """
    for ending in _heeded():
        if ending != signal.SIGINT:
            signal.signal(ending, _unwind_in_failure)


def stop_when_told() -> asyncio.Event:
    """An event of the running loop. From now on, each of the signals sets it, and does nothing else."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def tell(*_: object) -> None:
        ignore_further_signals()
        # If the loop has already ended, there is nothing to stop.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    for ending in _heeded():
        signal.signal(ending, tell)
    return stop


def ignore_further_signals() -> None:
    """Ignore all further signals, because the end has begun."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


def _heeded() -> list[signal.Signals]:
    """The signals that end a process. SIGHUP is left out if the parent process ignores it, as `nohup` does."""
    return [ending for ending in _ENDINGS if ending != signal.SIGHUP or signal.getsignal(ending) != signal.SIG_IGN]


def _unwind(*_: object) -> NoReturn:
    ignore_further_signals()
    sys.exit(0)


def _unwind_in_failure(number: int, _: object) -> NoReturn:
    ignore_further_signals()
    sys.exit(128 + number)
