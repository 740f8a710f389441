"""Runs a command beside `serve`. The command ends when `serve` ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Final, Self

import structlog

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds before a companion that has died is started again. The pause starts at `FIRST_PAUSE` and doubles up to `LONGEST_PAUSE`.
A companion that lived longer than that starts with the first pause again."""

GRACE: Final = 7.0
"""Seconds that the companion has to end after SIGTERM. One that is killed after that loses nothing, since it works in transactions."""

log = structlog.get_logger("serve")


class Companion:
    """Starts `preferences COMMAND --beside`, and starts it again when it dies. A start that fails counts as a death.

    Its standard input is a pipe from this process. When this process ends, for whatever reason, the companion reads the end of its
    input and ends, too. It has a process group of its own, so a Ctrl-C at the terminal reaches only this process, which then
    ends everything in the right order.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name=command, daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._ending.set()
            if self._process is not None:
                self._process.send_signal(signal.SIGTERM)
        self._keeper.join(GRACE)
        if self._keeper.is_alive() and self._process is not None:
            log.warning("killed", command=self._command, seconds=GRACE)
            self._process.kill()
            self._keeper.join()

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._starting:
                if self._ending.is_set():
                    return
                started = time.monotonic()
                try:
                    self._process = self._start()
                except OSError as error:  # The machine is short of memory, processes or open files.
                    self._process = None
                    log.error("not started", command=self._command, reason=str(error), again_in=pause)  # noqa: TRY400 - a sentence
            if self._process is not None:
                code = self._process.wait()
                assert self._process.stdin is not None
                self._process.stdin.close()
                if self._ending.is_set():
                    return
                if time.monotonic() - started > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                log.error("died", command=self._command, code=code, again_in=pause)
            if self._ending.wait(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    def _start(self) -> subprocess.Popen[bytes]:
        # The command of this same installation, not of the search path. It gets our settings through the environment.
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "api.command_line", self._command, "--beside"],
            stdin=subprocess.PIPE,
            process_group=0,
            env=os.environ,
        )


def end_with_parent() -> None:
    """Send SIGTERM to this process when its standard input ends. It ends when the process that started this one is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
