"""Reads one user's stream as of an instant from PostgreSQL."""

from datetime import datetime
from typing import Final
from uuid import UUID

from typing_extensions import override

from application.audit.users import HistoryAsOf, Streams
from application.log import BrokenStream
from domain import published_catalogues
from domain.events import CataloguePublished, NotificationToggled
from domain.published_catalogues import PublishedCatalogues
from infrastructure.log.event_codec import decode
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries

PATIENCE: Final = 5.0
"""Seconds that a caller waits for one user's stream: enough for a million events."""


class PostgresStreams(Streams):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("streams")

    @override
    async def evidence(self, stream: UUID, until: datetime) -> HistoryAsOf:
        rows = await self._database.fetch_in_time(
            self._queries["evidence"],
            {
                "stream": stream,
                "until": until,
                "topic": NotificationToggled.TOPIC,
                "catalogues": published_catalogues.STREAM,
            },
            prepare=False,
            patience=PATIENCE,
        )
        version, events, *_ = rows[0]
        if version != events:
            raise BrokenStream(f"stream {stream}: {events} events up to version {version}")
        shown = [decode(*row[2:]) for row in rows if row[2] is not None]
        return HistoryAsOf(
            version,
            [event for event in shown if isinstance(event, NotificationToggled)],
            PublishedCatalogues([event for event in shown if isinstance(event, CataloguePublished)]),
        )
