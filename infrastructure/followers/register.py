"""Manages followers from outside their process: shows how far each is, pauses it, resumes it, resets it."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from application.followers import AnyFollower, CannotReset, FollowerStatus
from infrastructure.log.event_codec import recorded_at
from infrastructure.postgres.connection import AnyConnection
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries


class FollowerRegister:
    """Each method takes effect at the running follower's next transaction, in whichever process it runs."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._queries = queries("followers")

    async def statuses(self, names: Collection[str]) -> list[FollowerStatus]:
        """The status of these followers and of all that have ever run, by name."""
        rows = await self._database.fetch_in_time(self._queries["status"], {"names": [*names]}, prepare=False)
        return [self._status(*row) for row in rows]

    async def pause(self, name: str) -> None:
        """Returns once the follower handles no more events."""
        await self._database.execute(self._queries["pause"], {"name": name})

    async def resume(self, name: str) -> bool:
        """False if no such follower has ever run."""
        return bool(await self._database.write(self._queries["resume"], {"name": name}))

    async def reset(self, follower: AnyFollower[AnyConnection], to: int) -> None:
        """Undo the follower's effect of all events after `to`, and let it handle them again. Raises `CannotReset`."""
        name = {"name": follower.name}
        async with self._database.connection() as connection, connection.transaction():
            row = await (await connection.execute(self._queries["hold"], name)).fetchone()
            if row is None:
                raise CannotReset(f"{follower.name} has never run")
            if to > row[0]:
                raise CannotReset(f"{follower.name} is at position {row[0]}: no event may be passed over")
            await follower.reset(to, connection)
            await connection.execute(self._queries["set_back"], {**name, "to": to})

    def _status(
        self,
        name: str,
        position: int,
        paused: bool,
        failed_position: int | None,
        failure: str | None,
        moved_at: datetime | None,
        leading: bool,
        lag_events: int,
        next_state: Any,
    ) -> FollowerStatus:
        lag = 0.0
        if next_state is not None:
            # If the event does not say when it was recorded, it has waited at least since the last move.
            since = recorded_at(next_state) or moved_at or self._clock()
            lag = max((self._clock() - since).total_seconds(), 0.0)
        return FollowerStatus(name, position, paused, failed_position, failure, leading, lag_events, lag)
