"""A leg of the sweep, and how it is gone through at once."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol

import psycopg

from application.evidence.sweep import Finding, StepResult
from application.progress import Progress
from infrastructure.log import log_table
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, connect_blocking

_SESSION: Final = Session(
    application="preferences sweep",
    settings={
        "jit": "off",
        "work_mem": "128MB",
        "enable_sort": "on",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
        "idle_session_timeout": "60s",
    },
    connect_within=5,
    answer_within=60,
)

Connection = BlockingConnection
State = Mapping[str, Any] | None


class Look(Protocol):
    """One look at a stretch, within a transaction that has its moment. `state` is None at the beginning of a pass."""

    def __call__(self, connection: Connection, state: State, limit: int, /) -> StepResult: ...


class Leg(Protocol):
    """`at_once` is how many events a step has when the whole pass is made at once: more than when there is time."""

    @property
    def name(self) -> str:
        """Under which its progress is kept, so it never changes."""
        ...

    @property
    def at_once(self) -> int: ...

    def hold(self, connection: Connection) -> None:
        """Called first in the transaction, before its moment: keep what is looked at from being replaced meanwhile."""
        ...

    def ready(self) -> AbstractContextManager[Look]:
        """Called before the transaction begins."""
        ...


def check(url: str, leg: Leg, progress: Progress = lambda _done, _about: None) -> list[Finding]:
    """A whole pass at once. Nothing is written; each step is as of a moment of its own, so that it stands in nobody's way."""
    findings: list[Finding] = []
    state: State = None
    done = 0
    with sweeping(url) as connection:
        about = log_table.about(connection)
        while True:
            with leg.ready() as look, connection.transaction():
                leg.hold(connection)
                result = look(connection, state, leg.at_once)
            findings += result.findings
            state, done = result.state, done + result.events
            progress(done, max(done, about))
            if state is None:
                return findings


@contextmanager
def sweeping(url: str) -> Iterator[Connection]:
    """A connection whose transactions are as of one moment each. A step keeps other sessions waiting only briefly, and waits only briefly for them."""
    with connect_blocking(url, _SESSION, autocommit=True) as connection:
        # A statement is planned for the stretch that is asked for, and never prepared.
        connection.cursor_factory = psycopg.ClientCursor
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection
