"""The folder of a server that several processes may use: who starts it, and who stops it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class ServerFolder:
    """One process at a time starts or stops the server, and one is its starter, who stops it in the end.

    Both are locks on files, which the kernel takes from whoever is killed. Raises OSError where the folder can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starter: int | None = None

    @property
    def started_here(self) -> bool:
        """Whether we are the starter."""
        return self._starter is not None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else starts or stops the server meanwhile."""
        lock = self.open("start.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def begin(self) -> None:
        """Be the starter, of a server that is new: whoever started one before may live, and has nothing to stop any more."""
        self.resign()
        (self.path / "starter.lock").unlink(missing_ok=True)
        self.succeed()

    def succeed(self) -> None:
        """Be the starter, of a server that runs, if the one before has died without stopping it."""
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
