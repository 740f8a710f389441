"""A place in memory for databases that the tests make and drop."""

import os
from typing import Final

MEMORY: Final = "/dev/shm"
"""Linux's own name for it."""

LEAST: Final = 4 << 30
"""Bytes that must be free there: several test processes have a PostgreSQL each, and some tests have clusters."""


def in_memory() -> str | None:
    """A folder in memory, for `tempfile`'s `dir`; None, which stands for the usual place, if this machine has not enough of it.

    In a file system on the disk a new database takes three times as long: it has 300 files.
    """
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    # PostgreSQL's programs may be copied beside their data, and run there.
    usable = os.access(MEMORY, os.W_OK) and not found.f_flag & os.ST_NOEXEC
    return MEMORY if usable and found.f_bavail * found.f_frsize >= LEAST else None
