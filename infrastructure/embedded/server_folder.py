"""The folder of a server that several processes may use: it decides which one starts the server, and which one stops it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class ServerFolder:
    """One process at a time starts or stops the server. One process is its starter, which stops it in the end.

    Each of these two roles is a lock on a file, which the kernel releases when a process is killed. Raises OSError if the folder can't be
    used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starter: int | None = None

    @property
    def started_here(self) -> bool:
        """Whether this process is the starter."""
        return self._starter is not None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other process starts or stops the server meanwhile."""
        lock = self.open("start.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def begin(self) -> None:
        """Become the starter of a new server. The starter of an earlier server may still live, but has nothing left to stop."""
        self.resign()
        (self.path / "starter.lock").unlink(missing_ok=True)
        self.succeed()

    def succeed(self) -> None:
        """Become the starter of a running server, if the starter before has died without stopping it."""
        if self._starter is not None:
            return
        lock = self.open("starter.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            self._starter = lock

    def resign(self) -> None:
        if self._starter is not None:
            os.close(self._starter)
        self._starter = None

    def open(self, name: str) -> int:
        """A file for a lock, as a descriptor."""
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
