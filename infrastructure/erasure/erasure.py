"""Erases a person in PostgreSQL: one transaction for the key, the event that records the erasure, and the data beside the log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from typing_extensions import override

from application.erasure import Erasing, Erasures, MovedOn
from application.preferences.store import Append
from infrastructure.log.continuation import continue_on
from infrastructure.postgres.connection import Connection, MustContinue
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries
from infrastructure.preferences.event_store import stored_batch
from projections.current_preferences import CurrentPreferences


class PostgresErasures(Erasures):
    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[Erasing]:
        try:
            async with self._database.connection() as connection, connection.transaction():
                yield Transaction(connection)
        except MustContinue as error:
            await continue_on(self._database)
            raise MovedOn from error


class Transaction(Erasing):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._erasure = queries("erasure")
        self._preferences = queries("preferences")

    @override
    async def destroy_key(self, stream: UUID) -> bool:
        return bool(await self._connection.rows(self._erasure["destroy_key"], [stream]))

    @override
    async def current(self, stream: UUID) -> CurrentPreferences:
        [row] = await self._connection.rows(self._preferences["load"], [[stream]])
        return CurrentPreferences(*row)

    @override
    async def append(self, append: Append) -> bool:
        return bool(await self._connection.rows(self._preferences["append"], [stored_batch([append])]))

    @override
    async def erase_from_readings(self, stream: UUID) -> int:
        # The audit index and the current preferences name no person. Only the record of reads names those who read others' history.
        return len(await self._connection.rows(queries("audit_reads")["erase_reader"], {"stream": stream}))

    @override
    async def count_unsealed_events(self, stream: UUID) -> int:
        [(count,)] = await self._connection.rows(self._erasure["count_unsealed_events"], [stream])
        return int(count)
