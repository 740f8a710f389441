"""A file with one CloudEvent a line. The file itself shows how far the replay is."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Self

import orjson
from typing_extensions import override

from application.feed.feed import as_json
from application.feed.replay import Destination, ReplayRefused
from application.log import Cleared
from infrastructure.replays.request import Manifest, Request, lock

BLOCK: Final = 64 * 1024


class LinesFile(Destination):
    """If the last line was cut off, the file is cut back to the line before, whose event says where to go on."""

    def __init__(self, file: BinaryIO, position: int) -> None:
        self._file = file
        self._position = position

    @classmethod
    @contextmanager
    def open(cls, path: Path, request: Request) -> Iterator[Self]:
        """Raises `ReplayRefused` if the file is in use, or was not made by this request."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            lock(file.fileno(), path)
            manifest = Manifest(path.with_name(f"{path.name}.replay"), request)
            if file.seek(0, os.SEEK_END):
                manifest.agree(there=True)
            else:
                manifest.keep()
            yield cls(file, max(request.after, _cut_back(file, path)))

    @property
    @override
    def position(self) -> int:
        return self._position

    @override
    async def write(self, events: Sequence[Cleared], position: int) -> None:
        self._file.write(b"".join(as_json(recorded) + b"\n" for recorded in events))
        self._file.flush()
        self._position = position

    @override
    async def finish(self) -> None:
        os.fsync(self._file.fileno())


def _cut_back(file: BinaryIO, path: Path) -> int:
    """Removes all bytes after the last whole line, and returns that line's position; 0 if there is no line."""
    end = _after_newline(file, file.seek(0, os.SEEK_END))
    file.truncate(end)
    if end == 0:
        return 0
    start = _after_newline(file, end - 1)
    file.seek(start)
    try:
        return int(orjson.loads(file.read(end - start))["sequence"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise ReplayRefused(f"the last line of {path} is no event") from None


def _after_newline(file: BinaryIO, end: int) -> int:
    """The place after the last newline before `end`, or the beginning of the file."""
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
