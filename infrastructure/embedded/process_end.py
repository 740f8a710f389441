"""The end of a process that isn't our child, which nobody but the kernel knows for sure."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_PATIENCE: Final = 10.0
"""Seconds that a process may take from giving up its files to being gone, which is a matter of milliseconds."""


class WatchedProcess:
    """A process that runs now, and whether it has ended since.

    It is held by a descriptor, so that no newer process of the same number is taken for it, and so that one that is dead and that its
    parent hasn't waited for counts as ended. Where the system has none (they came with Linux 5.3) or doesn't let us, its number
    has to do.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._held: int | None = None
        with suppress(AttributeError, OSError):
            self._held = os.pidfd_open(pid)

    def has_ended(self, within: float = 0) -> bool:
        """Whether it has, or does so within some seconds. Where it isn't held, the answer comes at once."""
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
def gone_afterwards(pid: int) -> Iterator[None]:
    """Stop the process inside: its files and locks are free a moment before it is gone, and we go on when it is."""
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
        pass  # It exists, and is another account's.
    return True
