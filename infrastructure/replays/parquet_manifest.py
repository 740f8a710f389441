"""The state that a replay into Parquet must remember, in a Parquet file without rows.

Some readers fail on a file of another kind in a folder (polars), others on a folder without any file (DuckDB). This file avoids both. It
is the first one by name, so readers that take the columns of the first file get those of the latest release.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from infrastructure.replays.columns import SCHEMA
from infrastructure.replays.request import Manifest, Request, sync_folder, write_whole

NO_DAY: Final = "date=1970-01-01"
"""Readers consider a folder partitioned only if each file is in a partition."""

_KEY: Final = b"notification-preferences.replay"


class ParquetManifest(Manifest):
    """Also reads the state that earlier releases stored in `_replay.json`, and replaces that file."""

    def __init__(self, folder: Path, request: Request) -> None:
        super().__init__(folder / NO_DAY / "replay.parquet", request)
        self._folder = folder
        self._former = folder / "_replay.json"

    def something_else(self) -> bool:
        """Whether the folder has other files than those that a replay leaves if it is interrupted before it writes its first manifest."""
        day = self._path.parent
        left = {day, day / f".{self._path.name}.tmp", self._folder / f".{self._former.name}.tmp"}
        return any(found not in left for found in self._folder.rglob("*"))

    @override
    def _read(self) -> bytes:
        if not self._path.exists():
            return self._former.read_bytes()
        try:
            kept: bytes = (pq.read_schema(self._path).metadata or {})[_KEY]
        except pa.ArrowInvalid:
            return b""
        return kept

    @override
    def _write(self, content: bytes) -> None:
        schema = SCHEMA.with_metadata({**(SCHEMA.metadata or {}), _KEY: content})
        sink = pa.BufferOutputStream()
        pq.write_table(schema.empty_table(), sink)
        self._path.parent.mkdir(exist_ok=True)
        write_whole(self._path, sink.getvalue())
        sync_folder(self._folder)
        self._former.unlink(missing_ok=True)
