"""A folder of Parquet files, partitioned by the day of the events, for DuckDB, polars, pandas and Spark."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from application.feed.replay import Destination
from application.log import Cleared
from infrastructure.replays.columns import SCHEMA, row
from infrastructure.replays.parquet_manifest import ParquetManifest
from infrastructure.replays.request import Request, lock, sync_folder

ROWS: Final = 100_000
"""Events that are written together. They are held in memory until then: some 100 MB."""

_PART: Final = re.compile(r"part-(\d{20})-\d{20}\.parquet")


class ParquetFolder(Destination):
    """Each file is written under another name and then renamed. After that, the manifest records that all events up to a position are
    there. After an interruption, files that the manifest does not cover are written again, so they are removed first.
    """

    def __init__(self, folder: Path, manifest: ParquetManifest, position: int, rows: int) -> None:
        self._folder = folder
        self._manifest = manifest
        self._committed = self._position = position
        self._most = rows
        self._waiting: list[Cleared] = []

    @classmethod
    @contextmanager
    def open(cls, folder: Path, request: Request, *, rows: int = ROWS) -> Iterator[Self]:
        """Raises `ReplayRefused` if the folder is in use, or was not made by this request."""
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            lock(descriptor, folder)
            manifest = ParquetManifest(folder, request)
            kept = manifest.agree(there=manifest.something_else())
            if kept is None:
                kept = {"position": request.after}
            # Also if nothing has changed, because its columns must be those of this release.
            manifest.keep(**kept)
            position: int = kept["position"]
            _remove_uncommitted_parts(folder, position)
            yield cls(folder, manifest, position, rows)
        finally:
            os.close(descriptor)

    @property
    @override
    def position(self) -> int:
        return self._position

    @override
    async def write(self, events: Sequence[Cleared], position: int) -> None:
        self._waiting += events
        self._position = position
        if len(self._waiting) >= self._most:
            self._commit()

    @override
    async def finish(self) -> None:
        self._commit()

    def _commit(self) -> None:
        if self._position == self._committed:
            return
        by_day: dict[date, list[dict[str, Any]]] = defaultdict(list)
        for recorded in self._waiting:
            by_day[recorded.event.timestamp.astimezone(UTC).date()].append(row(recorded))
        name = f"part-{self._committed + 1:020}-{self._position:020}.parquet"
        for day, rows in by_day.items():
            _write(self._folder / f"date={day}", name, rows)
        sync_folder(self._folder)
        self._manifest.keep(position=self._position)
        self._committed = self._position
        self._waiting.clear()


def _write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    beside = folder / f".{name}.tmp"
    with beside.open("wb") as file:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / name)
    sync_folder(folder)


def _remove_uncommitted_parts(folder: Path, position: int) -> None:
    for path in folder.glob("date=*/.part-*.tmp"):
        path.unlink()
    for path in folder.glob("date=*/part-*.parquet"):
        if (named := _PART.fullmatch(path.name)) and int(named[1]) > position:
            path.unlink()
