"""A connection to PostgreSQL. This module alone turns PostgreSQL's errors into ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from typing_extensions import override

from domain.errors import Unavailable

AnyConnection = psycopg.AsyncConnection[TupleRow]
"""A connection of which it doesn't matter whether it is one of ours."""


class Connection(AnyConnection):
    """Keeps one cursor for all its statements, because a new cursor has to find out again how each type is written and read."""

    taken_at = 0.0
    patience = inf
    """Seconds that each statement may take."""
    _deadline = inf
    _wait_cancelled = False

    @cached_property
    def kept_cursor(self) -> psycopg.AsyncCursor[TupleRow]:
        return self.cursor(binary=True)

    async def rows(
        self, query: Any, parameters: Any = (), *, prepare: bool = True, deadline: float | None = None
    ) -> list[TupleRow]:
        """Raises `NoAnswer` if the server has not answered by `deadline`, a time of the monotonic clock."""
        before = self._deadline
        if deadline is not None:
            self._deadline = deadline
        try:
            await self.kept_cursor.execute(query, parameters, prepare=prepare)
        finally:
            self._deadline = before
        return await self.kept_cursor.fetchall()

    def heed(self, notice: Diagnostic) -> None:
        """PostgreSQL reports a cancelled wait as a success, with a warning. Only the warning's place in PostgreSQL's code is in no language."""
        if notice.source_function == "SyncRepWaitForLSN":
            self._wait_cancelled = True

    def unconfirmed(self) -> bool:
        """Whether a commit since the last call did not wait for its standby to the end."""
        cancelled, self._wait_cancelled = self._wait_cancelled, False
        return cancelled

    @contextmanager
    def answering_by(self, deadline: float) -> Iterator[None]:
        """The same for all statements of a block, whichever code executes them."""
        self._deadline = deadline
        try:
            yield
        finally:
            self._deadline = inf

    @override
    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """A server that is reachable but does not answer keeps a statement for ever, even beyond the statement's own time limit.
        Cancelling does not help: the driver asks that same server to end the statement, and waits for it. So this gives up the
        connection.
        """
        deadline = self._deadline
        # A wait that already has a time limit is for a notification and not for an answer.
        if timeout is None and self.patience != inf:
            deadline = min(deadline, monotonic() + self.patience)
        if deadline == inf:
            return await super().wait(gen, interval, timeout)
        left = max(0.0, deadline - monotonic())
        try:
            return await super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except psycopg.OperationalError as error:
            if monotonic() < deadline or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            await self.close()
            raise NoAnswer("no answer from the database in time") from error


class BlockingConnection(psycopg.Connection[TupleRow]):
    """For code that waits only for the database. `patience` is the same as above; while rows are copied, it applies to each row."""

    patience = inf

    @override
    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is not None or self.patience == inf:
            return super().wait(gen, interval, timeout)
        deadline = monotonic() + self.patience
        try:
            return super().wait(gen, interval, self.patience)
        except psycopg.OperationalError as error:
            if monotonic() < deadline:
                raise
            self.close()
            raise NoAnswer("no answer from the database in time") from error


# The server answers with these while it can't serve, and then has recorded nothing: a deadlock, a lock or a statement that took too long.
# Classes 53 and 58 are a full disk, full memory, too many connections, a broken disk.
_TEMPORARY = {"40001", "40P01", "55P03", "57014"}
_TEMPORARY_CLASSES = {"53", "58"}


class NoAnswer(Unavailable):
    """The server is reachable but has not answered in time. The outcome of the running statement is unknown."""


class ConnectionLost(Unavailable):
    """The connection broke, or was never made. The outcome of the statement that ran on it is unknown."""


class Unconfirmed(Unavailable):
    """The commit is done on this server. But it did not wait for its synchronous standby to the end, so a failover can lose it."""


class ReadOnly(Unavailable):
    """The server takes no writes: it is a standby, or an operator has set it so. Another server may have taken its place."""


class MustContinue(Unavailable):
    """The log must be continued before it takes the next event: its last writer was another server, or the partition that is being closed
    has no room for the event. Nothing was recorded.
    """


class RightMissing(Unavailable):
    """The role may not do this. An operator can grant the right while services run. Nothing was recorded."""


class LoginRefused(Unavailable):
    """The database does not know the user, the password is wrong, or the user may not connect. An operator can change that while services run."""


_LOG_ELSEWHERE: Final = "58LOG"
"""The SQLSTATE that the functions of our schema raise for this."""

_CLOSING: Final = "preferences_events_closing"
"""The constraint that keeps events out of a partition that is being closed (infrastructure/log/partitions.py)."""

# Before a session exists, libpq passes on the server's error only as text.
_REFUSED: Final = re.compile(
    r"authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects|not permitted to log in|role .* does not exist"
    r"|permission denied for database"
)


def translated(error: psycopg.Error) -> Exception:
    """Our error for PostgreSQL's. Returns the error itself if a retry could not help."""
    state = error.sqlstate or ""
    if state == "25006":
        return ReadOnly(f"the database refuses writes: {error}")
    if state == "42501":
        return RightMissing(f"the role lacks a right in the database: {error.diag.message_primary}")
    if state == _LOG_ELSEWHERE or error.diag.constraint_name == _CLOSING:
        return MustContinue(str(error))
    if state in _TEMPORARY or state[:2] in _TEMPORARY_CLASSES:
        return Unavailable(f"the database refuses: {error}")
    if not state and _REFUSED.search(str(error)):
        return LoginRefused(f"the database refuses the login: {' '.join(str(error).split())}")
    # An error without a state comes from libpq: the connection is lost. 57P means that the server ends it, which can happen between a
    # commit and its answer. With 08 a pooler says that it lost the server.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        not state or state[:3] == "57P" or state[:2] == "08"
    ):
        return ConnectionLost(f"the connection to the database was lost: {error}")
    return error
