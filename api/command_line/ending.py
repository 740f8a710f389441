"""SIGTERM and Ctrl-C: once is enough, and again changes nothing.

Whoever is told to end stops what it started, in order. A second signal in the middle of that would leave a database
or a broker behind; supervisors, and people, do send it. What is stopped has time limits of its own.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

import uvicorn
from typing_extensions import override

_ENDINGS: Final = (signal.SIGTERM, signal.SIGINT)


def unwind_when_told() -> None:
    """From here on either signal ends the process by way of its stack, with exit code 0."""
    for ending in _ENDINGS:
        signal.signal(ending, _unwind)


def stop_when_told() -> asyncio.Event:
    """From here on either signal sets this event of the running loop, and does nothing else."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def tell(*_: object) -> None:
        heed_no_more()
        # A loop that has ended meanwhile is what was asked for.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    for ending in _ENDINGS:
        signal.signal(ending, tell)
    return stop


class PatientServer(uvicorn.Server):
    """A second Ctrl-C doesn't force the first one: it would skip the application's own end."""

    @override
    def handle_exit(self, sig: int, frame: object) -> None:
        if not self.should_exit:
            super().handle_exit(sig, None)


def heed_no_more() -> None:
    """The end has begun, and neither signal changes anything any more."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


def _unwind(*_: object) -> NoReturn:
    heed_no_more()
    sys.exit(0)
