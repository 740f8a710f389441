"""A process that has imported `preferences` and forks itself for each run of it, which saves the run a second of imports.

Nothing happens at import in this house, so a fork that begins at `main` is as good as a new interpreter. Runs by the console script
itself are in `tests/api/command_line/test_serve.py`. The worker processes of a server are never forked, and its followers neither.
"""

import array
import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

IMPORTED = ("api.command_line", "api.bootstrap", "api.server")
"""All modules of these folders, with what they import: a command's own module, too, which the console script only imports when the command
is called."""
STATUS = struct.Struct("!i")
LENGTH = struct.Struct("!I")


def main(control: int) -> None:
    """Serve orders until the other end of the socket is closed."""
    for folder in map(importlib.import_module, IMPORTED):
        for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in ("uvloop", "uvicorn.lifespan.on", "uvicorn.loops.uvloop"):
        importlib.import_module(name)
    # Settings of the tests must not reach it. Each fork is told its own.
    os.environ.clear()
    # An application that was made leaves behind what the next one needs: FastAPI and pydantic import a few modules only then.
    importlib.import_module("api.bootstrap.service").openapi_document()
    assert threading.active_count() == 1, "a fork would have only one of the threads"
    # What is there now is never garbage, and no fork has to look through it.
    gc.collect()
    gc.freeze()
    awake, awaken = os.pipe()
    os.set_blocking(awaken, False)
    os.set_blocking(awake, False)
    signal.set_wakeup_fd(awaken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then close the socket
    running: dict[int, int] = {}
    with socket.socket(fileno=control) as orders:
        while True:
            readable, _, _ = select.select([orders, awake], [], [])
            if awake in readable:
                os.read(awake, 4096)
                reap(running)
            if orders in readable:
                received = receive(orders)
                if received is None:
                    return
                order, files = received
                pid = os.fork()
                if pid == 0:
                    orders.detach()
                    run(order, files[:3])
                *standard, status = files
                for file in standard:
                    os.close(file)
                running[pid] = status
                orders.sendall(STATUS.pack(pid))


def receive(orders: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """An order, and standard input, output and error and where to tell the exit status."""
    numbers = array.array("i")
    head, ancillary, _, _ = orders.recvmsg(LENGTH.size, socket.CMSG_SPACE(4 * numbers.itemsize))
    if not head:
        return None
    for _, _, data in ancillary:
        numbers.frombytes(data)
    length = LENGTH.unpack(head)[0]
    body = b""
    while len(body) < length:
        body += orders.recv(length - len(body))
    return json.loads(body), list(numbers)


def reap(running: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            told = running.pop(pid)
            with suppress(BrokenPipeError):
                os.write(told, STATUS.pack(status))
            os.close(told)


def run(order: dict[str, Any], files: list[int]) -> NoReturn:
    """In the fork: what the console script does, with the order's arguments and environment."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    # The files of an order were received above the standard ones, which they now replace.
    for target, file in enumerate(files):
        os.dup2(file, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115 - it stays open as long as the process
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.argv = order["arguments"]
    from api.command_line import main as preferences

    try:
        preferences()
        end(0)
    except SystemExit as left:
        end(left.code)


def end(code: object) -> NoReturn:
    """What the interpreter does when it exits, but for taking each module to pieces: in a fork, that first copies all of them."""
    if not isinstance(code, int | None):
        sys.exit(code)
    threading._shutdown()
    atexit._run_exitfuncs()
    gc.collect()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)
    os._exit(code or 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
