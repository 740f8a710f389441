"""The catalogue's stream in PostgreSQL."""

from collections.abc import Sequence
from typing import cast

import psycopg
from typing_extensions import override

from application.publishing import CatalogueLog, Unchosen
from domain.events import CataloguePublished
from domain.published_catalogues import STREAM, PublishedCatalogues
from infrastructure.log.continuation import continue_on
from infrastructure.log.event_codec import decode, encode
from infrastructure.postgres.connection import MustContinue
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries


class PostgresCatalogues(CatalogueLog):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("catalogues")

    @override
    async def published(self) -> PublishedCatalogues:
        rows = await self._database.fetch_in_time(self._queries["published"], [STREAM])
        return PublishedCatalogues([cast("CataloguePublished", decode(*row)) for row in rows])

    @override
    async def append(self, event: CataloguePublished, *, follows: CataloguePublished | None) -> bool:
        try:
            return await self._append(event, follows)
        except MustContinue:
            await continue_on(self._database)
            return await self._append(event, follows)

    async def _append(self, event: CataloguePublished, follows: CataloguePublished | None) -> bool:
        stored = encode(event)
        async with self._database.connection() as connection:
            # The values are written into the text, so that both statements travel together.
            cursor = psycopg.AsyncClientCursor(connection)
            await cursor.execute(
                self._queries["append"],
                {
                    "stream": stored.originator_id,
                    "version": stored.originator_version,
                    "topic": stored.topic,
                    "state": stored.state,
                    "follows": follows.originator_version if follows else None,
                },
            )
            cursor.nextset()
            return await cursor.fetchone() is not None

    @override
    async def unchosen(self, paths: Sequence[str]) -> Unchosen:
        rows = await self._database.fetch(self._queries["unchosen"], {"paths": [*paths]})
        found = {path: without for path, _, without in rows}
        any_of_them = found.pop(None)
        return Unchosen(users=rows[0][1], by_path=found, any=any_of_them)


class NoCatalogues(CatalogueLog):
    """For a database without a schema: no catalogue is published, and no user has chosen anything."""

    @override
    async def published(self) -> PublishedCatalogues:
        return PublishedCatalogues([])

    @override
    async def append(self, event: CataloguePublished, *, follows: CataloguePublished | None) -> bool:
        raise NotImplementedError

    @override
    async def unchosen(self, paths: Sequence[str]) -> Unchosen:
        return Unchosen(users=0, by_path=dict.fromkeys(paths, 0), any=0)
