"""Processes and their descendants, for tests that kill or freeze them. Only ever by id, and only what a test started."""

import os
import signal
from contextlib import suppress

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
    children = psutil.Process(pid).children()
    return [child.pid for child in children if any("spawn_main" in word for word in child.cmdline())]


def send(signal_number: int, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def kill(pid: int) -> None:
    """SIGKILL to the process, so that it replaces nobody, and to all that it leaves behind."""
    send(signal.SIGKILL, family(pid))


def freeze(pid: int) -> list[int]:
    """Stop the process and its descendants where they stand; who they are, for `thaw`."""
    pids = family(pid)
    send(signal.SIGSTOP, pids)
    return pids


def thaw(pids: list[int]) -> None:
    send(signal.SIGCONT, pids)


def lives(pid: int) -> bool:
    """Whether the process runs; one that is dead and that nobody has waited for doesn't."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
