"""How a session with PostgreSQL begins. All that connect to it do so here, by the same rules.

1. What the URL says of the connection wins, then what PostgreSQL's environment variables and service file say, then our defaults.
2. What our promises rest on is set in the session, where neither URL, role nor database has another say (`_PROMISED`).
3. It is set after the connection has come about, in one statement: a pooler between us and PostgreSQL lets that pass.
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
"""Of PostgreSQL's major versions, the first one that has all that we use."""

_KEEPALIVES: Final = {"keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 8_000}
"""Seconds, and milliseconds: a peer that vanishes without a word is noticed within 8 s, not after two hours."""

_PROMISED: Final = {
    # Texts and times reach us, and are made within functions of ours, in one form.
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    # A statement sees what was committed while the one before it waited for a lock.
    "default_transaction_isolation": "read committed",
    # The server notices within a second that a client has gone, and lets go of its locks.
    "client_connection_check_interval": "1s",
    # A limit that is meant for others would end what may take its time. Those that have one of ours set it.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
_PROMISED_SINCE_17: Final = {"transaction_timeout": "0"}

_BEGUN_WITHIN: Final = 5.0
"""Seconds in which a server that has let us in answers our first statement."""

_OPTION: Final = re.compile(r"-c\s*(\w+)=(\S+)")


Opened = TypeVar("Opened", bound=Connection)


class UnsuitableDatabase(Unavailable):
    """One sentence on why the service can't work with this database, whatever is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session is for, and what it needs.

    `settings` are PostgreSQL's. `durable`: whether an answer to a commit means that it is on the disk. `connect_within` is in
    seconds, for each server that the URL names. `answer_within`: seconds in which the server says something to each statement,
    or the client gives the connection up.
    """

    application: str
    settings: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True
    connect_within: int = 2
    answer_within: float = inf


def settings_in(options: str) -> dict[str, str]:
    """Settings that are written as the server's command line has them: `-c jit=off -c work_mem=64MB`."""
    return dict(_OPTION.findall(options))


async def connect(url: str, session: Session) -> Connection:
    """An autocommitting connection."""
    return await _begun(await Connection.connect(_conninfo(url, session), autocommit=True), session)


def connect_blocking(url: str, session: Session, *, autocommit: bool = False) -> BlockingConnection:
    """The same for code that waits for nothing but the database."""
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
    """A pool, not open yet, whose connections are made as `connect` makes them. `failed` hears why one was not made."""
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
        # To close it in the ordinary way can mean to wait, and what has just begun has nothing to lose.
        connection.pgconn.finish()
        raise
    connection.patience = session.answer_within
    return connection


def _begin(connection: Connection | BlockingConnection, session: Session) -> tuple[LiteralString, dict[str, Any]]:
    """The statement that a session begins with, and its parameters."""
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
    """A version of PostgreSQL, as people write it: 15.4 for 150004, and 9.6.24 for 90624."""
    if version < 100_000:
        return f"{version // 10_000}.{version // 100 % 100}.{version % 100}"
    return f"{version // 10_000}.{version % 10_000}"


def _conninfo(url: str, session: Session) -> str:
    """What libpq is to be told: all that the URL says, and our defaults for what neither it nor the environment says."""
    said = conninfo_to_dict(url)
    said = {**service_file.of(said), **said}
    ours: dict[str, str | int] = {**_KEEPALIVES, "fallback_application_name": session.application}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        ours["connect_timeout"] = session.connect_within
    return make_conninfo("", **{**ours, **said})
