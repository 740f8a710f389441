"""The log and the current preferences in PostgreSQL."""

from binascii import b2a_base64
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import Final, cast
from uuid import UUID

import orjson
import psycopg
from psycopg import errors
from typing_extensions import override

from application.preferences.store import Append, AppendRefused, OutcomeUnknown, PreferencesStore
from domain.errors import Unavailable
from domain.events import NotificationToggled, PreferencesEvent
from infrastructure.log.continuation import ANSWERED_WITHIN, continue_on
from infrastructure.log.event_codec import decode, encode
from infrastructure.log.event_log import LAST
from infrastructure.log.replicated_end import ReplicatedEnd
from infrastructure.postgres.connection import ConnectionLost, MustContinue, NoAnswer
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries
from projections.current_preferences import CurrentPreferences

CONFIRMED_WITHIN: Final = 0.5
"""Seconds that a repeated choice waits for standbys. Other changes of this process wait with it."""


class PostgresPreferencesStore(PreferencesStore):
    """With `replicated`, `confirm` waits for synchronous standbys."""

    def __init__(self, database: Database, replicated: ReplicatedEnd | None = None) -> None:
        self._database = database
        self._replicated = replicated
        self._queries = queries("preferences")

    @override
    async def load(self, streams: Sequence[UUID]) -> dict[UUID, CurrentPreferences]:
        if len(streams) == 1:
            rows = await self._database.fetch_in_time(self._queries["load_one"], [streams[0].hex])
        else:
            # Written as a PostgreSQL array literal, because the driver takes longer to find out the type of a list.
            ids = "{" + ",".join([stream.hex for stream in streams]) + "}"
            rows = await self._database.fetch_in_time(self._queries["load"], [ids])
        return {row[0]: CurrentPreferences(*row) for row in rows}

    @override
    async def append(self, appends: Sequence[Append]) -> AbstractSet[UUID]:
        try:
            batch = stored_batch(appends)
        except ValueError as error:
            raise AppendRefused(str(error)) from error
        try:
            try:
                return await self._append(batch)
            except MustContinue:
                await continue_on(self._database)
                return await self._append(batch)
        except (ConnectionLost, NoAnswer) as error:
            raise OutcomeUnknown(error.reason) from error
        except errors.UniqueViolation as error:
            # Another writer without our lock was faster, for example the library's own application. In a batch of one, this means that
            # the stream has moved on. In a larger batch, the caller then appends each stream alone, so that the others do not fail with
            # it.
            if len(appends) == 1:
                return frozenset()
            raise AppendRefused(str(error)) from error
        except psycopg.Error as error:
            raise AppendRefused(str(error)) from error

    async def _append(self, batch: str) -> AbstractSet[UUID]:
        async with self._database.connection() as connection:
            deadline = monotonic() + ANSWERED_WITHIN
            rows = await connection.rows(self._queries["append"], [batch], deadline=deadline)
            return {stream for (stream,) in rows}

    @override
    async def recorded(self, events: Sequence[PreferencesEvent]) -> AbstractSet[str]:
        places = [[event.originator_id for event in events], [event.originator_version for event in events]]
        rows = await self._database.fetch_in_time(self._queries["recorded"], places)
        return {decode(*row).event_id for row in rows}

    @override
    async def confirm(self) -> None:
        if self._replicated is None:
            return
        async with self._database.connection() as connection:
            with connection.answering_by(monotonic() + ANSWERED_WITHIN):
                end = await self._replicated.look(connection)
                if await self._replicated.until(connection, end, CONFIRMED_WITHIN) < end:
                    raise Unavailable(
                        f"no standby has confirmed the log up to position {end} within {CONFIRMED_WITHIN} s"
                    )

    @override
    async def changes(self, stream: UUID, *, up_to: int | None, limit: int) -> list[NotificationToggled]:
        up_to = LAST if up_to is None else up_to
        parameters = {"stream": stream, "up_to": up_to, "topic": NotificationToggled.TOPIC, "limit": limit}
        rows = await self._database.fetch_in_time(self._queries["changes"], parameters)
        return [cast("NotificationToggled", decode(*row)) for row in rows]


def stored_batch(appends: Sequence[Append]) -> str:
    """The argument of `append_events`: each stream with its expected state, and all events in the order of the log."""
    streams = [
        {
            "stream": append.row.stream,
            "expected_version": append.expected_version,
            "expected_choices": append.expected_choices,
            "new_key": _base64(append.row.key) if append.opens_key and append.row.key else None,
        }
        for append in appends
    ]
    events = [
        {
            "stream": stream,
            "version": version,
            "topic": topic,
            "state": orjson.Fragment(state),
            "sealed_actor": _base64(sealed_actor),
        }
        for append in appends
        for event in append.events
        for stream, version, topic, state, sealed_actor in (encode(event, append.row.key),)
    ]
    return orjson.dumps({"streams": streams, "events": events}).decode()


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()
