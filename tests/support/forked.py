"""Runs of `preferences` that are forked from a process which has imported it (`tests/support/nursery.py`)."""

import array
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.nursery import LENGTH, STATUS

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("preferences")


class Preferences(subprocess.Popen[Any]):
    """`preferences` with these arguments: a process in a session of its own, with all that a `Popen` has.

    It is forked, unless something is asked of it that Python reads when it starts.
    """

    def __init__(self, arguments: list[str], *, env: Mapping[str, str], **files: Any) -> None:
        self._told: int | None = None
        self._forks = can_fork(arguments, env)
        super().__init__([COMMAND, *arguments], env=env, start_new_session=True, **files)

    def _execute_child(self, args: Any, *rest: Any) -> None:
        if not self._forks:
            super()._execute_child(args, *rest)
            return
        # Popen has made the pipes. These are, in this order, its ends and ours, or -1 for what we share with it.
        env, (stdin, ours_in, ours_out, stdout, ours_err, stderr) = rest[5], rest[9:15]
        standard = [own if own != -1 else shared for own, shared in ((stdin, 0), (stdout, 1), (stderr, 2))]
        order = {"arguments": ["preferences", *map(str, args[1:])], "environment": dict(env), "cwd": str(Path.cwd())}
        self.pid, self._told = nursery().fork(order, standard)
        self._child_created = True
        self._close_pipe_fds(stdin, ours_in, ours_out, stdout, ours_err, stderr)

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        return self._heed(0) if self._forks else super()._internal_poll(*arguments, **options)

    def _wait(self, timeout: float | None) -> int:
        if not self._forks:
            return super()._wait(timeout)
        if self._heed(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def _heed(self, timeout: float | None) -> int | None:
        """The exit code, if the process ends within so many seconds. Several threads may wait for it."""
        if self.returncode is None and self._told is not None and readable(self._told, timeout):
            with self._waitpid_lock:
                if self.returncode is None:
                    status = os.read(self._told, STATUS.size)
                    assert status, "the process from which `preferences` is forked has ended"
                    self.returncode = os.waitstatus_to_exitcode(STATUS.unpack(status)[0])
        return self.returncode

    def __del__(self, *arguments: Any, **options: Any) -> None:
        super().__del__(*arguments, **options)
        if self._told is not None:
            os.close(self._told)


def readable(file: int, timeout: float | None) -> bool:
    look = select.poll()
    look.register(file, select.POLLIN)
    return bool(look.poll(None if timeout is None else 1000 * timeout))


def can_fork(arguments: list[str], env: Mapping[str, str]) -> bool:
    def of_python(environment: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in environment.items()
            if name.startswith(("PYTHON", "LC_", "LANG", "LD_", "MALLOC_"))
        }

    return (
        signal.getsignal(signal.SIGHUP) is signal.SIG_DFL  # `nohup`, which a process inherits
        and not any(name.upper() == "PROMETHEUS_MULTIPROC_DIR" for name in env)
        and of_python(env) == of_python(os.environ)
    )


class Nursery:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair()
        with theirs:
            program = [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())]
            self._process = subprocess.Popen(program, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def fork(self, order: dict[str, Any], standard: list[int]) -> tuple[int, int]:
        """The new process's number, and a file that tells its exit status."""
        body = json.dumps(order).encode()
        told, tells = os.pipe()
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [*standard, tells]))]
            with self._lock:
                self._orders.sendmsg([LENGTH.pack(len(body))], rights)
                self._orders.sendall(body)
                pid = STATUS.unpack(self._orders.recv(STATUS.size, socket.MSG_WAITALL))[0]
        finally:
            os.close(tells)
        return pid, told

    def close(self) -> None:
        self._orders.close()
        self._process.wait()


@functools.cache
def nursery() -> Nursery:
    return Nursery()


def close_nursery() -> None:
    if nursery.cache_info().currsize:
        nursery().close()
        nursery.cache_clear()
