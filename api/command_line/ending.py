"""SIGTERM, Ctrl-C, and a terminal that hangs up: once is enough, and again changes nothing.

Whoever is told to end stops what it started, in order. A second signal in the middle of that would leave a database
or a broker behind; supervisors, and people, do send it. What is stopped has time limits of its own.

SIGHUP is an end like the others, with one worker or several: nothing is read again by a running process, as all settings are in its
environment. Under `nohup`, which ignores it, it stays ignored.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

TERMINAL: Final = (signal.SIGINT, signal.SIGHUP)
_ENDINGS: Final = (signal.SIGTERM, *TERMINAL)


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


def heed_no_more() -> None:
    """The end has begun, and none of the signals changes anything any more."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


def _heeded() -> list[signal.Signals]:
    """All of them but a SIGHUP that whoever started us has ignored, as `nohup` does."""
    return [ending for ending in _ENDINGS if ending != signal.SIGHUP or signal.getsignal(ending) != signal.SIG_IGN]


def _unwind(*_: object) -> NoReturn:
    heed_no_more()
    sys.exit(0)


def _unwind_in_failure(number: int, _: object) -> NoReturn:
    heed_no_more()
    sys.exit(128 + number)
