"""How a session with PostgreSQL begins. Every connection is made here, by the same rules.

1. The URL's connection parameters win, then PostgreSQL's environment variables and service file, then our defaults.
2. The settings on which our promises depend (`_PROMISED`) are set in the session. URL, role and database can't override them.
3. They are set after the connection is made, in one statement, because a pooler between us and PostgreSQL lets a statement pass.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any, Final, LiteralString, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

from domain.errors import Unavailable
from infrastructure.postgres import service_file
from infrastructure.postgres.connection import BlockingConnection, Connection
from infrastructure.postgres.sql import queries

OLDEST: Final = 15
"""The oldest major version of PostgreSQL that has every feature that we use."""

_KEEPALIVES: Final = {"keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 8_000}
"""Seconds, and milliseconds. A peer that vanishes silently is noticed within 8 s, and not after two hours."""

_PROMISED: Final = {
    # Texts and times must have one form, both when they reach us and when our functions in the database make them.
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    # A statement must see what was committed while the one before it waited for a lock.
    "default_transaction_isolation": "read committed",
    # The server notices within a second that a client is gone, and releases its locks.
    "client_connection_check_interval": "1s",
    # A limit that an operator set for other programs would end statements that may take long. Sessions with a limit of ours set it.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
_PROMISED_SINCE_17: Final = {"transaction_timeout": "0"}

_BEGUN_WITHIN: Final = 5.0
"""Seconds in which a server that accepted the connection must answer our first statement."""

_OPTION: Final = re.compile(r"-c\s*(\w+)=(\S+)")


Opened = TypeVar("Opened", bound=Connection)


class UnsuitableDatabase(Unavailable):
    """One sentence on why the service can't work with this database, however often it tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The purpose and the needs of a session.

    `settings` are PostgreSQL's. `durable`: whether a commit is answered only when it is on the disk. `connect_within` is in seconds, for
    each server that the URL names. `answer_within`: seconds in which the server must react to each statement, or the client gives up the
    connection.
    """

    application: str
    settings: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True
    connect_within: int = 2
    answer_within: float = inf


def settings_in(options: str) -> dict[str, str]:
    """Settings that are written as on the server's command line: `-c jit=off -c work_mem=64MB`."""
    return dict(_OPTION.findall(options))


async def connect(url: str, session: Session) -> Connection:
    """A connection in autocommit mode."""
    return await _begun(await Connection.connect(_conninfo(url, session), autocommit=True), session)


def connect_blocking(url: str, session: Session, *, autocommit: bool = False) -> BlockingConnection:
    """The same for code that waits only for the database."""
    connection = BlockingConnection.connect(_conninfo(url, session), autocommit=True)
    try:
        connection.patience = _BEGUN_WITHIN
        connection.execute(*_begin(connection, session), prepare=False)
        connection.autocommit = autocommit
    except BaseException:
        connection.pgconn.finish()
        raise
    connection.patience = session.answer_within
    return connection


def make_pool(
    url: str, session: Session, *, failed: Callable[[Exception], None], **of_the_pool: Any
) -> AsyncConnectionPool[Connection]:
    """A pool, not open yet, whose connections are made as by `connect`. It calls `failed` with the reason when it can't make one."""
    given = {"session": session, "failed": failed}
    return AsyncConnectionPool(url, connection_class=_Pooled, kwargs=given, open=False, **of_the_pool)


class _Pooled(Connection):
    @classmethod
    @override
    async def connect(cls, conninfo: str = "", **given: Any) -> Self:
        session: Session = given["session"]
        try:
            return await _begun(await super().connect(_conninfo(conninfo, session), autocommit=True), session)
        except (psycopg.Error, Unavailable, OSError) as error:
            given["failed"](error)
            raise


async def _begun(connection: Opened, session: Session) -> Opened:
    try:
        with connection.answering_by(monotonic() + _BEGUN_WITHIN):
            await connection.execute(*_begin(connection, session), prepare=False)
    except BaseException:
        # An ordinary close may have to wait, and a session that has just begun has nothing to lose.
        connection.pgconn.finish()
        raise
    connection.patience = session.answer_within
    connection.add_notice_handler(connection.heed)
    return connection


def _begin(connection: Connection | BlockingConnection, session: Session) -> tuple[LiteralString, dict[str, Any]]:
    """The first statement of a session, and its parameters."""
    version = connection.pgconn.server_version
    if version < OLDEST * 10_000:
        raise UnsuitableDatabase(f"PostgreSQL {spelt(version)} is too old: version {OLDEST} or newer is needed")
    settings = dict(_PROMISED)
    if version >= 170_000:
        settings.update(_PROMISED_SINCE_17)
    if not session.durable:
        settings["synchronous_commit"] = "off"
    settings.update(session.settings)
    parameters = {"names": [*settings], "settings": [*settings.values()], "durable": session.durable}
    return queries("session")["begin"], parameters


def spelt(version: int) -> str:
    """A version of PostgreSQL as people write it: 15.4 for 150004, and 9.6.24 for 90624."""
    if version < 100_000:
        return f"{version // 10_000}.{version // 100 % 100}.{version % 100}"
    return f"{version // 10_000}.{version % 10_000}"


def _conninfo(url: str, session: Session) -> str:
    """The connection string for libpq: all that the URL says, and our defaults where neither it nor the environment says anything."""
    said = conninfo_to_dict(url)
    said = {**service_file.of(said), **said}
    ours: dict[str, str | int] = {**_KEEPALIVES, "fallback_application_name": session.application}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        ours["connect_timeout"] = session.connect_within
    return make_conninfo("", **{**ours, **said})
