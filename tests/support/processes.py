"""Processes and their descendants, for tests that kill or freeze them. Only ever by id, and only what a test started."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


def family(pid: int) -> list[int]:
    """The process and all its descendants, itself first."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def workers(pid: int) -> list[int]:
    """The worker processes of a server that was started with several."""
    found = []
    for child in psutil.Process(pid).children():
        # One that was killed has no command any more.
        with suppress(psutil.NoSuchProcess):
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child.pid)
    return found


def send(signal_number: int, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def kill(pid: int) -> None:
    """SIGKILL to the process, so that it replaces nobody, and to all that it leaves behind."""
    send(signal.SIGKILL, family(pid))


def freeze(pid: int) -> list[int]:
    """Stop the process and its descendants where they stand; who they are, for `thaw`.

    None of their threads runs any more afterwards: on a busy machine one goes on for milliseconds after the signal was
    sent, and could still answer.
    """
    pids = family(pid)
    send(signal.SIGSTOP, pids)
    patience = time.monotonic() + 10
    while not all(stands_still(each) for each in pids):
        assert time.monotonic() < patience, "a process goes on although it was told to stop where it stands"
        time.sleep(0.001)
    return pids


def stands_still(pid: int) -> bool:
    """Whether each thread of the process is stopped or dead."""
    states = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                states.append((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return set(states) <= set("TtZX")


def thaw(pids: list[int]) -> None:
    send(signal.SIGCONT, pids)


@contextmanager
def nothing_to_open(pid: int) -> Iterator[None]:
    """The process may open no file meanwhile, and so can start no other process."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def lives(pid: int) -> bool:
    """Whether the process runs; one that is dead and that nobody has waited for doesn't."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
