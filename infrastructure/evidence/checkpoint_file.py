"""Checkpoints in a file outside the database: one signed note after another, each followed by an empty line."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from typing_extensions import override

from application.evidence.checkpoints import KeptNote, PublishedCheckpoints, ReadProgress

_NOTE: Final = re.compile(rb"(?:[^\n]+\n)+\n(?:\xe2\x80\x94 [^\n]+\n)+(?=\n)")
_LARGEST: Final = 16384
"""Bytes. Every note is far smaller."""


class CheckpointFile(PublishedCheckpoints):
    """The file only grows. The one exception is a note that a crash left half-written at the end: it was never a checkpoint, and the next
    append removes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    def last(self) -> KeptNote | None:
        notes = list(_NOTE.finditer(self._tail()))
        return KeptNote(str(self._path), notes[-1][0].decode(errors="replace")) if notes else None

    @override
    def append(self, note: str, *, after: KeptNote | None) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = note.encode()
        with self._path.open("ab") as file:
            # Only from the look at the end to the end of the write, so that a process that hangs elsewhere keeps no other one waiting.
            fcntl.flock(file, fcntl.LOCK_EX)
            tail = self._tail()
            notes = list(_NOTE.finditer(tail))
            if not notes and not _begins(tail, written):
                raise OSError(f"{self._path} is not a file of checkpoints")
            if (notes[-1][0].decode(errors="replace") if notes else None) != (after.note if after else None):
                raise OSError(f"another process has just appended a checkpoint to {self._path}")
            torn = len(tail) - (notes[-1].end() + 1 if notes else 0)
            if torn > 0:
                # Not from where the file ended when it was opened: it may have grown while this process waited for the lock.
                file.truncate(file.seek(0, os.SEEK_END) - torn)
            file.write(written + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def fault(self) -> str | None:
        """What prevents the next checkpoint, or None. Changes nothing."""
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
    def as_of_now(self, *, required: bool = False, torn: bool = True) -> Iterator["FileAsOfNow | None"]:
        """The content of the file at this moment. None if there is no file, unless it is `required`.

        Without `torn`, a half-written note at the end is skipped, because the next checkpoint will remove it.
        """
        if not required and not self._path.exists():
            yield None
            return
        with self._path.open("rb") as file:
            yield FileAsOfNow(str(self._path), file, os.fstat(file.fileno()).st_size, torn=torn)

    def _tail(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LARGEST))
                return file.read()
        except FileNotFoundError:
            return b""


class FileAsOfNow:
    """The file up to the end that it had when it was opened."""

    def __init__(self, place: str, file: IO[bytes], end: int, *, torn: bool) -> None:
        self.place = place
        self._file = file
        self._end = end
        self._torn = torn

    def notes(self, after: ReadProgress) -> Iterator[KeptNote]:
        """The pieces of the file from a mark on. A piece may not be a valid note: the code that opens notes refuses it then.

        If the mark does not belong to this file, which may be new or another machine's, reading starts at the beginning. It skips the
        notes that were read before, by their sizes.
        """
        known = after.mark == 0 or self._ends_note(after)
        self._file.seek(after.mark if known else 0)
        for piece in self._pieces():
            size = _size(piece)
            if known or size is None or size > after.size:
                known = True
                yield KeptNote(self.place, piece.decode(errors="replace"), self._file.tell())

    def _pieces(self) -> Iterator[bytes]:
        lines: list[bytes] = []
        while self._file.tell() < self._end and (line := self._file.readline()):
            lines.append(line)
            if line == b"\n" and lines.count(b"\n") == 2:
                yield b"".join(lines[:-1])
                lines = []
        if lines and self._torn:
            yield b"".join(lines)

    def _ends_note(self, after: ReadProgress) -> bool:
        """Whether the note of this size ends at this mark."""
        self._file.seek(max(0, after.mark - _LARGEST))
        notes = list(_NOTE.finditer(self._file.read(min(after.mark, _LARGEST))))
        return bool(notes) and notes[-1].end() == min(after.mark, _LARGEST) - 1 and _size(notes[-1][0]) == after.size


def _size(note: bytes) -> int | None:
    """The size that the note states. None if that is not a number."""
    _, _, rest = note.partition(b"\n")
    line, _, _ = rest.partition(b"\n")
    return int(line) if line.isdigit() else None


def _begins(torn: bytes, note: bytes) -> bool:
    """Whether `torn` can be the beginning of a note of the same origin. The origin is the first line of a note."""
    origin = note[: note.index(b"\n") + 1]
    return torn.startswith(origin) or origin.startswith(torn)
