"""Reads one user's stream as of an instant from PostgreSQL."""

from collections.abc import Callable
from datetime import datetime, timedelta
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
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.postgres.sql import queries

PATIENCE: Final = 5.0
"""Seconds that a caller waits for one user's stream: enough for a million events."""

SETTLED: Final = timedelta(seconds=30)
"""An event is committed at most so long after the time that it states: the request's own time limit, and the difference of two clocks."""


class PostgresStreams(Streams):
    """An instant in the settled past is read from the read replica, which has all events up to then. The present is read from the primary,
    because the answer is to be the one that the user gets.
    """

    def __init__(self, database: ReadDatabase, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._settled = SETTLED + timedelta(seconds=database.may_lag)
        self._queries = queries("streams")

    @override
    async def evidence(self, stream: UUID, until: datetime) -> HistoryAsOf:
        parameters = {
            "stream": stream,
            "until": until,
            "topic": NotificationToggled.TOPIC,
            "catalogues": published_catalogues.STREAM,
        }
        database: Database | ReadDatabase = (
            self._database if until < self._clock() - self._settled else self._database.primary
        )
        rows = await database.fetch_in_time(self._queries["evidence"], parameters, prepare=False, patience=PATIENCE)
        version, events, *_ = rows[0]
        if version != events:
            raise BrokenStream(f"stream {stream}: {events} events up to version {version}")
        shown = [decode(*row[2:]) for row in rows if row[2] is not None]
        return HistoryAsOf(
            version,
            [event for event in shown if isinstance(event, NotificationToggled)],
            PublishedCatalogues([event for event in shown if isinstance(event, CataloguePublished)]),
        )
