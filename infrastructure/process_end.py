"""The end of a process that isn't our child, which nobody but the kernel knows for sure."""

import os
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

_PATIENCE: Final = 10.0
"""Seconds that a process may take from giving up its files to being gone, which is a matter of milliseconds."""


@contextmanager
def gone_afterwards(pid: int) -> Iterator[None]:
    """Stop the process inside: its files and locks are free a moment before it is gone, and we go on when it is.

    It is held by a descriptor, so that no newer process of the same number is taken for it. Where the system has none
    (they came with Linux 5.3) or doesn't let us, nobody waits.
    """
    with ExitStack() as held:
        process = None
        with suppress(AttributeError, OSError):
            process = os.pidfd_open(pid)
            held.callback(os.close, process)
        yield
        if process is not None:
            ended = select.poll()
            ended.register(process, select.POLLIN)
            ended.poll(_PATIENCE * 1000)
