"""One of several server processes (workers). The process that started them, the master, ends them, and they end with the master."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Final

import structlog
from starlette.types import ASGIApp

from api.bootstrap.service import create_app
from api.http import worker_places

_TERMINAL: Final = (signal.SIGINT, signal.SIGHUP)

LONGEST_END: Final = 60.0
"""Seconds after which a worker without a master ends in any case, even if its orderly end hangs."""

log = structlog.get_logger("worker")


def create_worker() -> ASGIApp:
    """The application, configured by the environment alone.

    A Ctrl-C or a hang-up of the terminal reaches all processes. Workers ignore it, because the master ends them.
    """
    for ending in _TERMINAL:
        signal.signal(ending, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL)  # The master has started this process with both blocked.
    threading.Thread(target=_end_with_master, name="master", daemon=True).start()
    worker_places.take(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    return create_app()


def _end_with_master() -> None:
    """When the master ends, for whatever reason, send SIGTERM to this process.

    Without a master, no process runs the followers or replaces a worker, and a new master couldn't get the port.
    """
    master = multiprocessing.parent_process()
    assert master is not None
    master.join()
    log.error("the master has ended, and its workers end with it", process=os.getpid())
    # SIGINT first: after a Ctrl-C the server doesn't drain, so it stops listening and the port is free at once.
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LONGEST_END)
    os._exit(1)
