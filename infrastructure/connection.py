"""One connection to PostgreSQL, and the one place where its errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from typing_extensions import override

from domain.errors import Unavailable

READ_COMMITTED: Final = r"-c default_transaction_isolation=read\ committed"
"""An option for whoever counts on a statement that sees what was committed while the one before it waited for a lock. A
database, or a role, may have another default."""

ALIVE: Final = "-c client_connection_check_interval=1s"
"""An option for whoever holds a lock: the server notices within a second that we have gone, and lets go."""


class Connection(psycopg.AsyncConnection[TupleRow]):
    """Keeps one cursor for all of its statements: a new one learns anew how each type is written and read."""

    taken_at = 0.0
    _deadline: float | None = None

    @cached_property
    def kept_cursor(self) -> psycopg.AsyncCursor[TupleRow]:
        return self.cursor(binary=True)

    async def rows(
        self, query: Any, parameters: Any = (), *, prepare: bool = True, deadline: float | None = None
    ) -> list[TupleRow]:
        """Raises `NoAnswer` where the server hasn't answered by `deadline`, a time of the monotonic clock."""
        before = self._deadline
        self._deadline = before if deadline is None else deadline
        try:
            await self.kept_cursor.execute(query, parameters, prepare=prepare)
        finally:
            self._deadline = before
        return await self.kept_cursor.fetchall()

    @contextmanager
    def answering_by(self, deadline: float) -> Iterator[None]:
        """The same for all statements of a block, whoever executes them."""
        self._deadline = deadline
        try:
            yield
        finally:
            self._deadline = None

    @override
    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """A server that is there and doesn't answer keeps a statement for ever, its own time limit included. To cancel the
        statement is no way out: the driver asks that same server to end it, and waits for that. The connection is given up."""
        if self._deadline is None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, max(0.0, self._deadline - monotonic()))
        except psycopg.OperationalError as error:
            if monotonic() < self._deadline or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            await self.close()
            raise NoAnswer("no answer from the database in time") from error


# What the server answers while it can't serve, having recorded nothing: a read-only standby, a deadlock, a lock or a
# statement that took too long. Classes 53 and 58 are a full disk, full memory, too many connections, a broken disk.
_TEMPORARY = {"25006", "40001", "40P01", "55P03", "57014"}
_TEMPORARY_CLASSES = {"53", "58"}


class NoAnswer(Unavailable):
    """The server is there, and hasn't answered in time. What was under way has an unknown outcome."""


class ConnectionLost(Unavailable):
    """The connection broke, or never came about. What was under way on it has an unknown outcome."""


class LogElsewhere(Unavailable):
    """The log was last written on another server, and has to be continued on this one first. Nothing was recorded."""


_LOG_ELSEWHERE = "58LOG"
"""How the functions of our schema say so."""


def with_keepalives(url: str) -> str:
    """Where to connect to, so that a peer that vanishes without a word is noticed within seconds, not after two hours."""
    return make_conninfo(url, keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000)


def translated(error: psycopg.Error) -> Exception:
    """Ours for PostgreSQL's; itself where it is nothing that trying again could mend."""
    state = error.sqlstate or ""
    if state == _LOG_ELSEWHERE:
        return LogElsewhere(str(error))
    if state in _TEMPORARY or state[:2] in _TEMPORARY_CLASSES:
        return Unavailable(f"the database refuses: {error}")
    # Without a state of its own the error is libpq's: the connection. 57P is the server ending it, which can strike
    # between a commit and its answer; 08 is how a pooler says that it lost the server.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        not state or state[:3] == "57P" or state[:2] == "08"
    ):
        return ConnectionLost(f"the connection to the database was lost: {error}")
    return error
