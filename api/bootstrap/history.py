"""Reads the history of a user for the command."""

from uuid import UUID

from api.bootstrap.operator_database import operator_database
from domain.events import NotificationToggled
from infrastructure.preferences.event_store import PostgresPreferencesStore


async def changes(url: str, stream: UUID, *, limit: int) -> list[NotificationToggled]:
    """The last changes of a stream, newest first."""
    async with operator_database(url) as database:
        return await PostgresPreferencesStore(database).changes(stream, up_to=None, limit=limit)
