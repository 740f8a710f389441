"""Servers of our own, and processes that work with them."""

import os
import pwd
import signal
import subprocess
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from infrastructure.embedded.postgres import EmbeddedPostgres

IS_ROOT = os.geteuid() == 0


def copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", source, target], check=True)
    return target


def end_servers_below(folder: Path) -> None:
    for file in folder.rglob("postmaster.pid"):
        pid = int(file.read_text().splitlines()[0])
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").resolve() == file.parent:
                os.kill(pid, signal.SIGQUIT)
                await_end(pid)


def await_end(pid: int) -> None:
    """Wait until a process is gone, or dead and only not waited for."""
    for _ in range(1000):
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(pid, 0)
            if "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.01)
                continue
        return
    raise AssertionError(f"process {pid} did not end")


def is_running(server: EmbeddedPostgres) -> bool:
    try:
        psycopg.connect(server.url).close()
    except psycopg.OperationalError:
        return False
    return True


def write(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('straße')")


def kept(server: EmbeddedPostgres) -> str:
    with psycopg.connect(server.url) as connection:
        return str(connection.execute("SELECT word FROM kept").fetchall()[0][0])


def in_a_child(work: Callable[[], str], *, account: str | None = None) -> str:
    """Run work in a forked process and return its answer.

    A fork and not a new interpreter, as an ordinary user may be unable to read root's Python.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # About threads: the child takes none of their locks.
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            if account is not None:
                entry = pwd.getpwnam(account)
                os.setgroups([])
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            answer = work()
        except BaseException:  # noqa: BLE001 - the parent's test reports it
            answer = traceback.format_exc()
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
