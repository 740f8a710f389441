"""What many streams stand at, read in one query."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from typing_extensions import override

from application.decisions import FEW, Standing, Standings, StandingsStore
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

PATIENCE_FOR_MANY: Final = 5.0
"""Seconds. Ten thousand rows may have to be read from a disk."""

_PACKED: Final = Struct(">16sqqB")
_CHOICES: Final = (False, True, None)


class PostgresStandings(StandingsStore):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("decisions")

    @override
    async def standings(self, streams: Sequence[bytes], path: str, *, with_end: bool) -> Standings:
        if len(streams) == 1 and not with_end:
            return await self._found("standing", path, streams[0].hex())
        # An array as PostgreSQL writes it: the driver takes longer to find out what it is given.
        ids = "{" + ",".join([stream.hex() for stream in streams]) + "}"
        if len(streams) > FEW:
            return await self._of_many(path, ids)
        if with_end:
            rows = await self._database.fetch_in_time(self._queries["standings_and_end"], [path, ids])
            return Standings(rows[0][0], {row[1]: Standing(*row[2:]) for row in rows if row[1] is not None})
        return await self._found("standings", path, ids)

    async def _found(self, query: str, path: str, ids: str) -> Standings:
        rows = await self._database.fetch_in_time(self._queries[query], [path, ids])
        return Standings(None, {row[0]: Standing(*row[1:]) for row in rows})

    async def _of_many(self, path: str, ids: str) -> Standings:
        # Planned each time, for the table as large as it is then.
        statement = self._queries["standings_of_many"]
        [(end, packed)] = await self._database.fetch_in_time(
            statement, [path, ids], prepare=False, patience=PATIENCE_FOR_MANY
        )
        found = _PACKED.iter_unpack(packed)
        return Standings(end, {stream: Standing(at, last, _CHOICES[choice]) for stream, at, last, choice in found})
