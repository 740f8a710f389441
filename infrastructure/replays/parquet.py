"""A folder of Parquet files, partitioned by the day on which events happened, as DuckDB, pandas and Spark read it."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date
from pathlib import Path
from typing import Any, Final, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from application.isolation import Cleared
from application.replay import Destination
from infrastructure.replays.request import Manifest, Request, lock, sync_folder
from projections.cloud_events import cloud_event

ROWS: Final = 100_000
"""Events that are written together, and held in memory until then: some 100 MB."""

_WORD: Final = pa.dictionary(pa.int32(), pa.string())
"""For columns in which the same few strings stand again and again."""

SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("type", _WORD, nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("organization", _WORD),
        pa.field("channel", _WORD),
        pa.field("toggle", _WORD),
        pa.field("enabled", pa.bool_()),
        pa.field("previous", pa.bool_()),
        pa.field("actor_kind", _WORD),
        pa.field("actor_label", pa.string()),
        pa.field("source", _WORD, nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("catalogue_version", pa.int32(), nullable=False),
        pa.field("channels", pa.string()),
    ]
)

_PART: Final = re.compile(r"part-(\d{20})-\d{20}\.parquet")


class ParquetFolder(Destination):
    """Files are written under another name and renamed; then the manifest says that all up to a position is there. What
    was renamed and not yet said is written again after an interruption, so it is removed first."""

    def __init__(self, folder: Path, manifest: Manifest, position: int, rows: int) -> None:
        self._folder = folder
        self._manifest = manifest
        self._committed = self._position = position
        self._most = rows
        self._waiting: list[Cleared] = []

    @classmethod
    @contextmanager
    def open(cls, folder: Path, request: Request, *, rows: int = ROWS) -> Iterator[Self]:
        """Raises `ReplayRefused` where the folder is in use, or is not this request's."""
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            lock(descriptor, folder)
            manifest = Manifest(folder / "_replay.json", request)
            # A manifest is the first thing that a replay makes; what it may have left behind before that has this name.
            there = any(found.name != "._replay.json.tmp" for found in folder.iterdir())
            kept = manifest.agree(there=there)
            if kept is None:
                kept = {"position": request.after}
                manifest.keep(**kept)
            position: int = kept["position"]
            _remove_unsaid(folder, position)
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
            by_day[recorded.event.timestamp.astimezone(UTC).date()].append(_row(recorded))
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


def _remove_unsaid(folder: Path, position: int) -> None:
    for path in folder.glob("date=*/.part-*.tmp"):
        path.unlink()
    for path in folder.glob("date=*/part-*.parquet"):
        if (named := _PART.fullmatch(path.name)) and int(named[1]) > position:
            path.unlink()


def _row(recorded: Cleared) -> dict[str, Any]:
    """What leaves the house, as columns. The catalogue's channels are JSON: they are one value in one row of a million."""
    event = cloud_event(recorded.position, recorded.event)
    data = event["data"]
    actor = data.get("actor", {})
    channels = data.get("channels")
    return {
        **data,
        "position": recorded.position,
        "id": event["id"],
        "time": recorded.event.timestamp,
        "type": event["type"],
        "stream": event["partitionkey"],
        "subject": event.get("subject"),
        "actor_kind": actor.get("kind"),
        "actor_label": actor.get("label"),
        "channels": None if channels is None else orjson.dumps(channels).decode(),
    }
