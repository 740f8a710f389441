"""How far the log is signed. The answer comes from the database, so every process reports the same."""

from collections.abc import Callable
from datetime import datetime

from application.evidence.checkpoints import SigningStatus
from infrastructure.log.event_codec import recorded_at
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries


class PostgresSigning:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._queries = queries("signing")

    async def status(self) -> SigningStatus:
        """Raises `Unavailable`."""
        [(last, state)] = await self._database.fetch_in_time(self._queries["status"], prepare=False)
        # An event that does not say when it was recorded has waited at least since the last checkpoint.
        since = None if state is None else recorded_at(state) or last
        return SigningStatus(last, 0.0 if since is None else max((self._clock() - since).total_seconds(), 0.0))
