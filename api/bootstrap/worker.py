"""One of several server processes, which the one that started them ends, and which ends with that one."""

import multiprocessing
import os
import signal
import threading
from typing import Final

import structlog
from starlette.types import ASGIApp

from api.bootstrap.service import create_app

_TERMINAL: Final = (signal.SIGINT, signal.SIGHUP)

LONGEST_END: Final = 60.0
"""Seconds after which one that is told to end, and that nobody else watches any more, is gone for certain."""

log = structlog.get_logger("worker")


def create_worker() -> ASGIApp:
    """The application, from the environment alone. A Ctrl-C or a hang-up of the terminal reaches all processes, but the master ends
    the workers."""
    for ending in _TERMINAL:
        signal.signal(ending, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL)  # the master has started this process with both held back
    threading.Thread(target=_end_with_master, name="master", daemon=True).start()
    return create_app()


def _end_with_master() -> None:
    """Make a SIGTERM to this process of the end of the master, however that came: without it nobody has the followers run or
    replaces a worker, and the port would be taken for whoever is started in its place."""
    master = multiprocessing.parent_process()
    assert master is not None
    master.join()
    log.error("the master has ended, and its workers end with it", process=os.getpid())
    # As at a terminal: after a Ctrl-C nothing new is served until the end, so the port is free at once.
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LONGEST_END)
    os._exit(1)
