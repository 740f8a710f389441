"""The parameters of a replay, stored beside its result, so that no other replay ever adds to it."""

import fcntl
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from application.feed.feed import Selection
from application.feed.replay import ReplayRefused
from projections.cloud_events import TYPES


@dataclass(frozen=True, slots=True)
class Request:
    """All events of a selection after a position."""

    after: int
    type: str | None = None
    channel: str | None = None
    toggle: str | None = None
    organization: str | None = None

    @classmethod
    def of(cls, after: int, selection: Selection) -> "Request":
        kind = TYPES[selection.kind] if selection.kind else None
        return cls(after, kind, selection.channel, selection.toggle, selection.organization)


class Manifest:
    """The request, and the destination's further state, in a file that is never incomplete."""

    def __init__(self, path: Path, request: Request) -> None:
        self._path = path
        self._request = request

    def agree(self, *, there: bool) -> dict[str, Any] | None:
        """The stored state, if any. Raises `ReplayRefused` if the output is `there` already and this request did not make it."""
        try:
            kept: dict[str, Any] = orjson.loads(self._read())
            asked = kept.pop("asked_for")
        except FileNotFoundError:
            if there:
                raise ReplayRefused(
                    f"there is something at the output already that no replay has made: no {self._path}"
                ) from None
            return None
        except (orjson.JSONDecodeError, KeyError):
            raise ReplayRefused(f"{self._path} is not what a replay has left there") from None
        if asked != asdict(self._request):
            raise ReplayRefused(f"another replay began here, which asked for {orjson.dumps(asked).decode()}")
        return kept

    def keep(self, **remembered: Any) -> None:
        document = {"asked_for": asdict(self._request), **remembered}
        self._write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def _read(self) -> bytes:
        return self._path.read_bytes()

    def _write(self, content: bytes) -> None:
        write_whole(self._path, content)


def write_whole(path: Path, content: bytes) -> None:
    """After a crash the file has the old content or the new one, never a part."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, path: Path) -> None:
    """Locks the file as long as the descriptor is open. The operating system releases the lock however the process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ReplayRefused(f"another replay is writing to {path}") from None
