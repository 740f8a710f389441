"""Reads from the read replica while it may answer, and otherwise from the primary."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import psycopg
from psycopg.rows import TupleRow
from typing_extensions import override

from domain.errors import Unavailable
from infrastructure.postgres.connection import Connection
from infrastructure.postgres.database import Database
from infrastructure.postgres.wal import ReplicaBehind

Read = TypeVar("Read")

Enough: TypeAlias = Callable[[Read, Connection], Awaitable[bool]]
"""Whether a result of the standby has all that the answer must have. It may ask the same server."""

Count: TypeAlias = Callable[[str], None]
"""Called with the server that a result came from: `replica` or `primary`."""

ANSWER_WITHIN: Final = 10.0
"""Seconds that the standby has for a read without a time limit. A standby can hang, and the primary can answer instead."""


class ReplicaState(Protocol):
    """What is known of the standby."""

    @property
    def limit(self) -> float:
        """Seconds by which an answer of the standby may be older than one of the primary."""
        ...

    @property
    def usable(self) -> bool:
        """Whether the standby is worth asking."""
        ...

    async def verify(self, connection: Connection) -> None:
        """Raises `ReplicaBehind` if the server of this connection must not answer."""
        ...


class CaughtUp(ReplicaState):
    """A standby that had all that the primary had when a command began. A command needs no more."""

    limit = 0.0
    usable = True

    @override
    async def verify(self, connection: Connection) -> None:
        """Does nothing: a standby never loses what it has replayed."""


def _uncounted(_: str) -> None:
    """Does nothing."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A pool of connections to the standby, what is known of the standby, and where reads are counted."""

    database: Database
    state: ReplicaState
    count: Count = _uncounted


class ReadDatabase:
    """For reads that may lag. Its methods are those of `Database`.

    Each read that the standby refuses, fails, or has not enough for, is made again on the primary. So it must be safe to repeat, and can take
    twice its time limit. `primary` is for what may not lag: the end of the log as a promise, and all that is written.
    """

    def __init__(self, primary: Database, replica: Replica | None = None) -> None:
        self.primary = primary
        self._replica = replica

    @property
    def standby(self) -> Database | None:
        """The pool of connections to the standby, if there is one."""
        return None if self._replica is None else self._replica.database

    @property
    def may_lag(self) -> float:
        """Seconds by which a result may be older than one of the primary."""
        return 0.0 if self._replica is None else self._replica.state.limit

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.primary)
            if self._replica is not None:
                await stack.enter_async_context(self._replica.database)
            yield

    async def read(self, read: Callable[[Connection], Awaitable[Read]], *, enough: Enough[Read] | None = None) -> Read:
        found = await self._of_replica(ANSWER_WITHIN, read, enough)
        return await self.primary.read(read) if found is None else found[0]

    async def read_within(
        self, seconds: float, read: Callable[[Connection], Awaitable[Read]], *, enough: Enough[Read] | None = None
    ) -> Read:
        """`seconds` is the limit for each of the two servers."""
        found = await self._of_replica(seconds, read, enough)
        return await self.primary.read_within(seconds, read) if found is None else found[0]

    async def fetch_in_time(
        self,
        query: Any,
        parameters: Any = (),
        *,
        patience: float,
        prepare: bool = True,
        enough: Enough[list[TupleRow]] | None = None,
    ) -> list[TupleRow]:
        async def rows(connection: Connection) -> list[TupleRow]:
            return await connection.rows(query, parameters, prepare=prepare)

        return await self.read_within(patience, rows, enough=enough)

    async def _of_replica(
        self, seconds: float, read: Callable[[Connection], Awaitable[Read]], enough: Enough[Read] | None
    ) -> tuple[Read] | None:
        """The result in a tuple; None if the primary has to be asked."""
        if self._replica is None:
            return None
        if self._replica.state.usable:
            try:
                found = await self._replica.database.read_within(
                    seconds, self._verified(self._replica.state, read, enough)
                )
            except (Unavailable, psycopg.Error):
                # Whatever the standby can't do now: the primary either does it, or its error is the caller's. `ReadReplica` reports a
                # standby that stays like this.
                pass
            else:
                self._replica.count("replica")
                return (found,)
        self._replica.count("primary")
        return None

    def _verified(
        self, state: ReplicaState, read: Callable[[Connection], Awaitable[Read]], enough: Enough[Read] | None
    ) -> Callable[[Connection], Awaitable[Read]]:
        async def verified(connection: Connection) -> Read:
            await state.verify(connection)
            found = await read(connection)
            if enough is not None and not await enough(found, connection):
                raise ReplicaBehind("it lacks what the answer must have")
            return found

        return verified
