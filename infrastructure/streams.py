"""Whole streams of the log in PostgreSQL."""

from typing import Final
from uuid import UUID

from typing_extensions import override

from application.users import Evidence, Streams
from domain import published_catalogues
from domain.events import CataloguePublished, PreferencesEvent
from domain.published_catalogues import PublishedCatalogues
from infrastructure.database import Database
from infrastructure.event_codec import decode
from infrastructure.sql import queries

_CATALOGUES: Final = published_catalogues.STREAM


class PostgresStreams(Streams):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("streams")

    @override
    async def evidence(self, stream: UUID) -> Evidence:
        rows = await self._database.fetch_in_time(self._queries["evidence"], [[stream, _CATALOGUES]])
        events: list[PreferencesEvent] = []
        catalogues: list[CataloguePublished] = []
        for row in rows:
            event = decode(*row)
            if isinstance(event, CataloguePublished):
                catalogues.append(event)
            else:
                events.append(event)
        return Evidence(events, PublishedCatalogues(catalogues))
