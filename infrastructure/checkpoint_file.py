"""Checkpoints in a file outside of the database: one signed note after the other, an empty line behind each."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from typing_extensions import override

from application.evidence import KeptNote, PublishedCheckpoints

_NOTE: Final = re.compile(rb"(?:[^\n]+\n)+\n(?:\xe2\x80\x94 [^\n]+\n)+(?=\n)")
_LARGEST: Final = 16384
"""Bytes that a note has at most, by far."""


class CheckpointFile(PublishedCheckpoints):
    """It is only appended to; but what a crash left half-written at its end was never a checkpoint, and goes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    def last(self) -> KeptNote | None:
        notes = list(_NOTE.finditer(self._tail()))
        return KeptNote(str(self._path), notes[-1][0].decode(errors="replace")) if notes else None

    @override
    def append(self, note: str) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        tail = self._tail()
        notes = list(_NOTE.finditer(tail))
        written = note.encode()
        if not notes and not _begins(tail, written):
            raise OSError(f"{self._path} is not a file of checkpoints")
        torn = len(tail) - (notes[-1].end() + 1 if notes else 0)
        with self._path.open("ab") as file:
            if torn > 0:
                file.truncate(file.tell() - torn)
            file.write(written + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def fault(self) -> str | None:
        """What is in the way of the next checkpoint; None if nothing is. Changes nothing."""
        if not self._path.exists():
            there = next(parent for parent in self._path.absolute().parents if parent.exists())
            return None if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else f"{there} can't be written to"
        try:
            with self._path.open("ab"):
                pass
            tail = self._tail()
        except OSError as error:
            return f"{self._path} can't be written to: {error.strerror}"
        return f"{self._path} is not a file of checkpoints" if tail and not _NOTE.search(tail) else None

    @contextmanager
    def notes(self, *, required: bool = False) -> Iterator[Iterator[KeptNote]]:
        """What stands in it at this moment, piece by piece; what is no note is for whoever opens notes to refuse."""
        if not required and not self._path.exists():
            yield iter(())
            return
        with self._path.open("rb") as file:
            yield self._pieces(file, os.fstat(file.fileno()).st_size)

    def _pieces(self, file: IO[bytes], size: int) -> Iterator[KeptNote]:
        lines: list[bytes] = []
        while file.tell() < size and (line := file.readline()):
            lines.append(line)
            if line == b"\n" and lines.count(b"\n") == 2:
                yield KeptNote(str(self._path), b"".join(lines[:-1]).decode(errors="replace"))
                lines = []
        if lines:
            yield KeptNote(str(self._path), b"".join(lines).decode(errors="replace"))

    def _tail(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LARGEST))
                return file.read()
        except FileNotFoundError:
            return b""


def _begins(torn: bytes, note: bytes) -> bool:
    """Whether this can be all that was written of a note of the same origin, which is a note's first line."""
    origin = note[: note.index(b"\n") + 1]
    return torn.startswith(origin) or origin.startswith(torn)
