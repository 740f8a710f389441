"""The places of a server's worker processes: 0 for the first one, and so on. A worker that replaces one that has died takes its place.

So the metrics of a worker keep their labels when it is replaced, and the files with shared counts are as many as there are places: a new
worker goes on with the counts of the former one, and overwrites its levels.
"""

import fcntl
import os
from itertools import count
from pathlib import Path
from typing import Final

from prometheus_client import values

_PREFIX: Final = "place-"


def take(folder: Path) -> int:
    """Take the first free place for as long as this process lives. Its counts are then kept under the place's number.

    This must run before anything is counted.
    """
    place = next(place for place in count() if _locked(folder / f"{_PREFIX}{place}"))
    # This part of prometheus-client has no types.
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]  # the library has no types
    return place


def _locked(path: Path) -> bool:
    """Lock the file and write this process's id into it, unless another process holds the lock. The file stays open: the lock ends with the
    process, however that ends.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    os.ftruncate(file, 0)
    os.pwrite(file, b"%d" % os.getpid(), 0)
    return True


def processes(folder: Path) -> dict[int, int]:
    """The process at each place. It may have died a moment ago."""
    written = {int(file.name.removeprefix(_PREFIX)): file.read_text() for file in folder.glob(f"{_PREFIX}*")}
    # A file is empty for the moment between its making and its writing.
    return {place: int(process) for place, process in sorted(written.items()) if process}
