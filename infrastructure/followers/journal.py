"""The log and a follower's position in it, read and written on the follower's own connection."""

import re
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Final, LiteralString, TypeAlias

import psycopg
import structlog
from psycopg.rows import TupleRow
from typing_extensions import override

from application.followers import FollowerState, Journal, Stretch
from application.log import Recorded, UnreadableEvent
from infrastructure.log.event_codec import TYPES
from infrastructure.log.event_log import LAST, read_after
from infrastructure.log.replicated_end import ReplicatedEnd
from infrastructure.postgres.connection import AnyConnection, ConnectionLost, translated
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("followers")

CONFIRMED_WITHIN: Final = 1.0
"""Seconds for which a follower waits for standbys before it counts as caught up, and looks whether it must stop."""

TraceBatch: TypeAlias = Callable[[str, Sequence[str], int], AbstractContextManager[None]]
"""The context in which the follower of this name handles a batch and commits, for a tracing system: with the `traceparent`s of the batch's
events, and the position of its last one."""

_is_ours: Final = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]").fullmatch
"""The form in which this service writes a `traceparent`."""

log = structlog.get_logger("followers")


class PostgresJournal(Journal[AnyConnection]):
    """Needs a connection in autocommit mode, and uses it alone. With `replicated`, the log ends where synchronous standbys have it. `trace`
    is given only if spans are recorded.
    """

    def __init__(
        self,
        connection: AnyConnection,
        name: str,
        *,
        replicated: ReplicatedEnd | None = None,
        trace: TraceBatch | None = None,
    ) -> None:
        self._connection = connection
        self._name = name
        self._replicated = replicated
        self._trace = trace

    async def register(self) -> None:
        await self._run("register")

    async def lead(self) -> bool:
        """Returns whether this connection leads the follower from now on, until it ends."""
        [(leads,)] = await self._run("lead")
        if not leads:
            await self._run("end_stuck")
        return bool(leads)

    @override
    async def state(self) -> FollowerState:
        [row] = await self._run("state")
        return FollowerState(*row)

    @override
    async def read_after(self, position: int, limit: int) -> list[Recorded]:
        with self.translated():
            return await read_after(self._connection, position, limit, await self._end(position))

    @override
    async def stretch_after(self, position: int, limit: int) -> Stretch:
        with self.translated():
            parameters = {"position": position, "limit": limit, "types": [*TYPES], "end": await self._end(position)}
            cursor = await self._connection.execute(_QUERIES["stretch"], parameters, prepare=False)
            [(up_to, events, unknown)] = await cursor.fetchall()
            if unknown is not None:
                await read_after(self._connection, unknown - 1, 1)
        return Stretch(position, up_to or position, events)

    async def _end(self, position: int) -> int:
        """Where the log ends for this follower, which stands at `position`."""
        if self._replicated is None:
            return LAST
        return await self._replicated.beyond(self._connection, position, CONFIRMED_WITHIN)

    @override
    @asynccontextmanager
    async def move(self, position: int, to: int) -> AsyncIterator[AnyConnection | None]:
        with self.translated(), await self._traced(position, to):
            async with self._connection.transaction():
                moved = await self._run("move", position=position, to=to)
                yield self._connection if moved else None

    @override
    async def stop(self, position: int, failed_position: int, error: Exception) -> None:
        failure = describe(error)
        if await self._run("stop", position=position, failed_position=failed_position, failure=failure):
            log.error("follower stopped", follower=self._name, position=failed_position, failure=failure)

    async def _traced(self, position: int, to: int) -> AbstractContextManager[None]:
        if self._trace is None:
            return nullcontext()
        rows = await self._run("traces", position=position, to=to)
        # What another writer has put there must not stop the follower.
        return self._trace(self._name, [traceparent for (traceparent,) in rows if _is_ours(traceparent)], to)

    async def _run(self, name: str, **parameters: object) -> list[TupleRow]:
        with self.translated():
            cursor = await self._connection.execute(_QUERIES[name], {"name": self._name, **parameters})
            return await cursor.fetchall() if cursor.description else []

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self._connection.closed:
                raise ConnectionLost(f"the connection to the database was lost: {error}") from error
            raise translated(error) from error


def describe(error: Exception) -> str:
    """The kind of error, and its place in the code. It leaves out the error's own text, which may quote data that a caller has sent."""
    if isinstance(error, UnreadableEvent):
        return str(error)
    state = f" {error.sqlstate}" if isinstance(error, psycopg.Error) and error.sqlstate else ""
    frames = traceback.extract_tb(error.__traceback__)
    where = [
        f" in {Path(frame.filename).name}, line {frame.lineno} ({frame.name})"
        for frame in frames
        if "site-packages" not in frame.filename
    ]
    return f"{type(error).__name__}{state}{where[-1] if where else ''}"
