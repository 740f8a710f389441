"""A pool of connections to PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import Any, Final, Self, TypeVar

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_loads
from psycopg_pool import PoolClosed, PoolTimeout

from domain.errors import Unavailable
from infrastructure.postgres.connection import (
    Connection,
    ConnectionLost,
    LoginRefused,
    ReadOnly,
    Unconfirmed,
    translated,
)
from infrastructure.postgres.pool_figures import PoolFigures
from infrastructure.postgres.session import Session, make_pool, settings_in

Read = TypeVar("Read")

POINT_LOOKUP_OPTIONS: Final = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
"""Options for a pool whose statements find everything by a key. Prepared statements are then planned once. By default PostgreSQL plans a
look-up of several keys anew each time, which takes longer than the look-up. And a plan that was made while a table was small still uses
the index when the table is large.
"""

AT_HAND: Final = 2
"""Connections that are kept out of the pool: two batches of changes can be under way, each on a connection of its own."""

KEPT_FOR: Final = 60.0
"""Seconds after which a connection goes back through the pool, which replaces old ones."""

RENEWED_AFTER: Final = 0.5
"""The shortest time, in seconds, between two replacements of all connections while the server refuses writes."""

FAILED_LATELY: Final = 10.0
"""Seconds for which the last failure to connect is reported as the reason for a missing connection."""


class Database:
    """A pool of connections in autocommit mode: each statement is a transaction.

    `connect_within`, `answer_within` and `patience` are in seconds. The first bounds how long a request waits for a connection; the
    second how long the server may work on one statement; the third how long a caller of `fetch_in_time` waits altogether. `options` are
    more of PostgreSQL's own, such as `-c work_mem=64MB`.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 8,
        connect_within: float = 0.7,
        answer_within: float = 10.0,
        patience: float = 0.9,
        application: str = "preferences",
        options: str = "",
    ) -> None:
        self._connect_within = connect_within
        self._patience = patience
        self._waiting = 0
        self._at_hand: list[Connection] = []
        # A time of the monotonic clock. A connection that was taken from the pool before it is no longer kept at hand.
        self._kept_from = 0.0
        self._failed: tuple[float, Exception | None] = (0.0, None)
        settings = {
            "statement_timeout": f"{int(answer_within * 1000)}",
            # A process that is suspended within a transaction must not keep its locks.
            "idle_in_transaction_session_timeout": "5s",
            **settings_in(options),
        }
        self._pool = make_pool(
            url,
            Session(application=application, settings=settings),
            failed=self._note_failure,
            min_size=1,
            max_size=size,
            configure=_configure,
            timeout=connect_within,
            # The pool must not retry: a failed attempt is over, and the next request makes the next one. With the pool's own back-off,
            # the service would stay unavailable for minutes after the database is back.
            reconnect_timeout=0,
        )

    @property
    def figures(self) -> PoolFigures:
        return PoolFigures.of(self._pool.get_stats(), kept_at_hand=len(self._at_hand), waiting=self._waiting)

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._kept_from = inf
        await self._put_away()
        await self._pool.close()

    @asynccontextmanager
    async def connection(self, within: float | None = None) -> AsyncIterator[Connection]:
        """A connection, `within` so many seconds, by default `connect_within`. Raises `Unavailable`, or its subclass `ConnectionLost` if
        the outcome of a statement is unknown, or `Unconfirmed`.
        """
        try:
            connection = await self._take(within)
            try:
                yield connection
            finally:
                # Here, and not after each statement, because a transaction commits after its last one. The next user must not get this error.
                unconfirmed = connection.unconfirmed()
                await self._give_back(connection)
            if unconfirmed:
                raise Unconfirmed(
                    "the commit's wait for its standby was cancelled: a failover can lose what it recorded"
                )
        except PoolTimeout as error:
            within = self._connect_within if within is None else within
            raise self._no_connection(f"no connection to the database within {within:.1f} s") from error
        except PoolClosed as error:
            raise Unavailable("the connections to the database are closed") from error
        except psycopg.Error as error:
            ours = translated(error)
            if isinstance(ours, ReadOnly):
                await self.start_anew()
            raise ours from error

    async def _take(self, within: float | None) -> Connection:
        """A connection at hand, or one from the pool. The pool needs a tenth of a lone GET's time to hand one out and take it back."""
        if self._at_hand:
            return self._at_hand.pop()
        self._waiting += 1
        try:
            connection = await self._out_of_the_pool(within)
        finally:
            self._waiting -= 1
        connection.taken_at = monotonic()
        return connection

    async def _out_of_the_pool(self, within: float | None) -> Connection:
        """The pool waits with Python's `wait_for`. Before Python 3.12, `wait_for` forgets a cancellation if its result arrives at the
        same moment. The cancelled task would go on, for ever if its work has no end. So this checks for a cancellation.
        """
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        connection = await self._pool.getconn(within)
        self._failed = (0.0, None)
        if task.cancelling() > before:
            await self._pool.putconn(connection)
            raise asyncio.CancelledError
        return connection

    async def _give_back(self, connection: Connection) -> None:
        well = connection.pgconn.transaction_status == TransactionStatus.IDLE
        young = connection.taken_at > self._kept_from and monotonic() < connection.taken_at + KEPT_FOR
        if well and young and len(self._at_hand) < AT_HAND and not self._waiting:
            self._at_hand.append(connection)
        else:
            await self._pool.putconn(connection)

    async def _put_away(self) -> None:
        while self._at_hand:
            await self._pool.putconn(self._at_hand.pop())

    async def fetch(self, query: Any, parameters: Any = (), *, prepare: bool = True) -> list[TupleRow]:
        """The rows of a statement that only reads. Without `prepare`, it is planned each time, for the tables as they are then."""
        return await self.read(lambda connection: connection.rows(query, parameters, prepare=prepare))

    async def read(self, read: Callable[[Connection], Awaitable[Read]], *, deadline: float | None = None) -> Read:
        """The result of `read`, which must be safe to repeat. If the connection turns out dead, `read` runs once more on another one, but
        not after `deadline`, a time of the monotonic clock.
        """
        try:
            async with self.connection() as connection:
                return await read(connection)
        except ConnectionLost:
            await self._renew(connection)
            within = None if deadline is None else min(self._connect_within, max(0.0, deadline - monotonic()))
            async with self.connection(within) as connection:
                return await read(connection)

    async def read_within(self, seconds: float, read: Callable[[Connection], Awaitable[Read]]) -> Read:
        """The same, with a limit in seconds for all its statements together. Raises `NoAnswer` when the time is over."""
        deadline = monotonic() + seconds

        async def bounded(connection: Connection) -> Read:
            with connection.answering_by(deadline):
                return await read(connection)

        return await self.read(bounded, deadline=deadline)

    def _no_connection(self, sentence: str) -> Unavailable:
        """An error with the reason. Only the attempts that the pool made in the background know it."""
        at, error = self._failed
        if error is None or monotonic() - at > FAILED_LATELY:
            return Unavailable(sentence)
        reason = translated(error) if isinstance(error, psycopg.Error) else error
        return LoginRefused(str(reason)) if isinstance(reason, LoginRefused) else Unavailable(f"{sentence}: {reason}")

    def _note_failure(self, error: Exception) -> None:
        self._failed = (monotonic(), error)

    async def start_anew(self) -> None:
        """Give up all connections as they come back. Their server takes no writes, and the URL leads to another one by now, or soon will.
        At most once in `RENEWED_AFTER` seconds.
        """
        if monotonic() - self._kept_from > RENEWED_AFTER:
            self._kept_from = monotonic()
            await self._put_away()
            await self._pool.drain()

    async def _renew(self, lost: Connection) -> None:
        """If one connection is dead, the others usually are too. Testing each would mean waiting for any that hangs, so all idle ones are
        given up untested, and the next one is new.

        Many callers lose their connections at the same moment and notice it one after another. The first one renews the pool for all
        callers whose connections are as old as its own. The later ones must not give up the connections that are already new.
        """
        if lost.taken_at > self._kept_from:
            self._kept_from = monotonic()
            await self._put_away()
            await self._pool.drain()

    async def fetch_in_time(
        self, query: Any, parameters: Any = (), *, prepare: bool = True, patience: float | None = None
    ) -> list[TupleRow]:
        """The same rows as `fetch`. Raises `Unavailable` after `patience` seconds; by default this object's own patience."""
        deadline = monotonic() + (self._patience if patience is None else patience)
        return await self.read(
            lambda connection: connection.rows(query, parameters, prepare=prepare, deadline=deadline), deadline=deadline
        )

    async def write(self, query: Any, parameters: Any = ()) -> list[TupleRow]:
        """The rows of a statement that writes. Raises `ConnectionLost` if its outcome is unknown. It is not repeated, because a second
        run could find nothing left to do.
        """
        async with self.connection() as connection:
            return await connection.rows(query, parameters)

    async def execute(self, query: Any, parameters: Any = ()) -> None:
        """Run a statement that returns no rows."""
        async with self.connection() as connection:
            await connection.execute(query, parameters)


async def _configure(connection: Connection) -> None:
    set_json_loads(orjson.loads, connection)
