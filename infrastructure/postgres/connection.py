"""One connection to PostgreSQL, and the one place where its errors become ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from typing_extensions import override

from domain.errors import Unavailable


class Connection(psycopg.AsyncConnection[TupleRow]):
    """Keeps one cursor for all of its statements: a new one learns anew how each type is written and read."""

    taken_at = 0.0
    patience = inf
    """Seconds that each statement may take."""
    _deadline = inf

    @cached_property
    def kept_cursor(self) -> psycopg.AsyncCursor[TupleRow]:
        return self.cursor(binary=True)

    async def rows(
        self, query: Any, parameters: Any = (), *, prepare: bool = True, deadline: float | None = None
    ) -> list[TupleRow]:
        """Raises `NoAnswer` where the server hasn't answered by `deadline`, a time of the monotonic clock."""
        before = self._deadline
        if deadline is not None:
            self._deadline = deadline
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
            self._deadline = inf

    @override
    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """A server that is there and doesn't answer keeps a statement for ever, its own time limit included. To cancel the
        statement is no way out: the driver asks that same server to end it, and waits for that. The connection is given up."""
        deadline = self._deadline
        # What has a time limit already waits for a notification, and not for an answer.
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
    """For what waits for nothing but the database. `patience` is the same as above; where rows are copied, it is for each of them."""

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


# What the server answers while it can't serve, having recorded nothing: a deadlock, a lock or a
# statement that took too long. Classes 53 and 58 are a full disk, full memory, too many connections, a broken disk.
_TEMPORARY = {"40001", "40P01", "55P03", "57014"}
_TEMPORARY_CLASSES = {"53", "58"}


class NoAnswer(Unavailable):
    """The server is there, and hasn't answered in time. What was under way has an unknown outcome."""


class ConnectionLost(Unavailable):
    """The connection broke, or never came about. What was under way on it has an unknown outcome."""


class ReadOnly(Unavailable):
    """The server takes no writes: it is a standby, or an operator said so. Another one may have taken its place."""


class LogElsewhere(Unavailable):
    """The log was last written on another server, and has to be continued on this one first. Nothing was recorded."""


class LoginRefused(Unavailable):
    """The database doesn't know the user, or the password is another one. Passwords are changed while services run."""


_LOG_ELSEWHERE: Final = "58LOG"
"""How the functions of our schema say so."""

# libpq hands on what the server says as text alone, where no session has come about.
_REFUSED: Final = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|not permitted to log in|role .* does not exist"
)


def translated(error: psycopg.Error) -> Exception:
    """Ours for PostgreSQL's; itself where it is nothing that trying again could mend."""
    state = error.sqlstate or ""
    if state == "25006":
        return ReadOnly(f"the database refuses writes: {error}")
    if state == _LOG_ELSEWHERE:
        return LogElsewhere(str(error))
    if state in _TEMPORARY or state[:2] in _TEMPORARY_CLASSES:
        return Unavailable(f"the database refuses: {error}")
    if not state and _REFUSED.search(str(error)):
        return LoginRefused(f"the database refuses the login: {error}")
    # Without a state of its own the error is libpq's: the connection. 57P is the server ending it, which can strike
    # between a commit and its answer; 08 is how a pooler says that it lost the server.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        not state or state[:3] == "57P" or state[:2] == "08"
    ):
        return ConnectionLost(f"the connection to the database was lost: {error}")
    return error
