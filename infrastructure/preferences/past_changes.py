"""The changes of one user, of which those before a known one are read from the read replica."""

from collections.abc import Sequence
from typing import Final, cast
from uuid import UUID

from psycopg.rows import TupleRow
from typing_extensions import override

from application.preferences.store import Changes
from domain.events import NotificationToggled
from infrastructure.log.event_codec import decode
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.read_database import ReadDatabase
from infrastructure.postgres.sql import queries

PATIENCE: Final = 1.0
"""Seconds that a caller waits for a page of changes."""


class PastChanges(Changes):
    """The newest changes come from `newest`, which has every change that was answered. What lies before a change can't change any more."""

    def __init__(self, newest: Changes, database: ReadDatabase) -> None:
        self._newest = newest
        self._database = database
        self._queries = queries("preferences")

    @override
    async def changes(self, stream: UUID, *, up_to: int | None, limit: int) -> list[NotificationToggled]:
        if up_to is None:
            return await self._newest.changes(stream, up_to=None, limit=limit)

        async def has_the_known_one(rows: Sequence[TupleRow], _: Connection) -> bool:
            return bool(rows) and rows[0][1] == up_to

        parameters = {"stream": stream, "up_to": up_to, "topic": NotificationToggled.TOPIC, "limit": limit}
        rows = await self._database.fetch_in_time(
            self._queries["changes"], parameters, patience=PATIENCE, enough=has_the_known_one
        )
        return [cast("NotificationToggled", decode(*row)) for row in rows]
