"""The end of a process that isn't our child. Only the kernel knows it for sure."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_PATIENCE: Final = 10.0
"""Seconds that a process may take from closing its files to its end. Normally these are milliseconds."""


class WatchedProcess:
    """A process that runs now, and whether it has ended since.

    A descriptor holds it. So a newer process of the same number is not taken for it, and a dead process for which its parent hasn't
    waited counts as ended. Some systems have no such descriptor (they came with Linux 5.3) or refuse it. Then the number is used.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._held: int | None = None
        with suppress(AttributeError, OSError):
            self._held = os.pidfd_open(pid)

    def has_ended(self, within: float = 0) -> bool:
        """Whether the process has ended, or ends within so many seconds. Without a descriptor the answer comes at once."""
        if self._held is None:
            return not _exists(self._pid)
        ended = select.poll()
        ended.register(self._held, select.POLLIN)
        return bool(ended.poll(within * 1000))

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None


@contextmanager
def wait_until_exited(pid: int) -> Iterator[None]:
    """Stop the process inside this context. Its files and locks are free a moment before its end, and this waits for the end."""
    process = WatchedProcess(pid)
    try:
        yield
        process.has_ended(_PATIENCE)
    finally:
        process.close()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # The process exists and belongs to another account.
    return True
