"""A disk of a test's own, which can be filled up."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.counterparts import missing


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave not one byte free."""
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                return

    def make_room(self) -> None:
        (self.folder / "filler").unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """In memory, at this folder. Only root can mount it."""
    folder.mkdir(parents=True)
    options = f"size={megabytes}m,mode=755"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        missing("A disk of a test's own can't be mounted: run the tests as root")
    try:
        yield SmallDisk(folder)
    finally:
        # PostgreSQL's folder is in use until its last process has ended.
        subprocess.run(["umount", "--lazy", folder], check=True)
