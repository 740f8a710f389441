"""The states of many streams, read in one query."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from typing_extensions import override

from application.decisions import FEW, StreamState, StreamStates, StreamStateStore
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

PATIENCE_FOR_MANY: Final = 5.0
"""Seconds. The database may have to read ten thousand rows from a disk."""

_PACKED: Final = Struct(">16sqqB")
_CHOICES: Final = (False, True, None)


class PostgresStreamStates(StreamStateStore):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("decisions")

    @override
    async def stream_states(self, streams: Sequence[bytes], path: str, *, with_end: bool) -> StreamStates:
        if len(streams) == 1 and not with_end:
            return await self._found("stream_state", path, streams[0].hex())
        # Written as a PostgreSQL array literal, because the driver takes longer to find out the type of a list.
        ids = "{" + ",".join([stream.hex() for stream in streams]) + "}"
        if len(streams) > FEW:
            return await self._of_many(path, ids)
        if with_end:
            rows = await self._database.fetch_in_time(self._queries["stream_states_and_end"], [path, ids])
            return StreamStates(rows[0][0], {row[1]: StreamState(*row[2:]) for row in rows if row[1] is not None})
        return await self._found("stream_states", path, ids)

    async def _found(self, query: str, path: str, ids: str) -> StreamStates:
        rows = await self._database.fetch_in_time(self._queries[query], [path, ids])
        return StreamStates(None, {row[0]: StreamState(*row[1:]) for row in rows})

    async def _of_many(self, path: str, ids: str) -> StreamStates:
        # Planned each time, for the size that the table has then.
        statement = self._queries["stream_states_of_many"]
        [(end, packed)] = await self._database.fetch_in_time(
            statement, [path, ids], prepare=False, patience=PATIENCE_FOR_MANY
        )
        found = _PACKED.iter_unpack(packed)
        return StreamStates(
            end, {stream: StreamState(at, last, _CHOICES[choice]) for stream, at, last, choice in found}
        )
