"""The Merkle tree of the log, in PostgreSQL. This code waits only for the database, so it is not async."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from typing_extensions import override

from application.evidence.checkpoints import DATABASE, KeptNote, StoredTree, TreeStore
from application.log import UnreadableEvent
from domain.checkpoint import Checkpoint
from domain.continued_log import STREAM, Continuation
from domain.events import LogContinued
from domain.merkle import TILE, Tile
from infrastructure.log.event_codec import decode
from infrastructure.log.event_log import LAST
from infrastructure.log.replicated_end import replicated_end
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("evidence")
_COPY_HEADER: Final = 19
"""Bytes before the first row. They are part of the first message."""
_COPY_TRAILER: Final = b"\xff\xff"
_READ_WITHIN: Final = 300.0
"""Seconds in which the server must send the next row: an operator's command may wait, but not for ever."""
_CONFIRMED_WITHIN: Final = 5.0
"""Seconds that a checkpoint waits until standbys have the end of the log. Meanwhile it keeps others from writing one."""


def leaves(
    connection: BlockingConnection, first: int = 1, limit: int | None = None, last: int = LAST
) -> Iterator[bytes]:
    """The log from a position on, as leaf data, row by row as the server sends it. No event after `last` is read.

    The connection has `enable_sort` off: the index already has the order. A sort would first read the whole log, and may write it to
    disk.

    All is in one loop, without a generator for the rows that came: it runs for each event of the log.
    """
    query = sql.SQL(_QUERIES["leaves"].rstrip(";")).format(
        first=sql.Literal(first), last=sql.Literal(last), limit=sql.Literal(limit)
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        received = connection.pgconn.get_copy_data
        # One message holds the header and what follows it: the first row, the trailer of an empty log, or nothing.
        row: Buffer = bytes(copy.read())[_COPY_HEADER:] or copy.read()
        while row:
            # `read` waits for one row. The rows that came with it are taken without waiting, in half the time.
            size = len(row)
            while size > len(_COPY_TRAILER):
                yield bytes(row)
                size, row = received(1)
            if size < 0:
                raise error_from_result(connection.wait(fetch_many(connection.pgconn))[0])
            # All that came is taken, or the trailer came, behind which `read` sees how the statement ended.
            row = copy.read()


def invalid_positions(connection: BlockingConnection) -> list[int]:
    return [position for (position,) in connection.execute(_QUERIES["invalid_positions"])]


def continuations(connection: BlockingConnection) -> list[Continuation]:
    """The readable continuations. An attacker who alters the log may alter these too; such a continuation then explains no gap."""
    found = []
    for position, *stored in connection.execute(queries("continuation")["continuations"], [STREAM]):
        with suppress(UnreadableEvent):
            event = decode(*stored)
            if isinstance(event, LogContinued):
                found.append(Continuation.of(position, event))
    return found


def _split(hashes: bytes | None) -> list[bytes]:
    """Takes any bytes: an attacker who altered them may have dropped the constraint as well. The hashes show whether they are right."""
    hashes = hashes or b""
    return [hashes[start : start + 32] for start in range(0, len(hashes), 32)]


class PostgresTree(StoredTree):
    """No event after `last` is taken in, as if the log ended there."""

    def __init__(self, connection: BlockingConnection, last: int = LAST) -> None:
        self._connection = connection
        self._last = last

    @override
    def invalid_positions(self) -> list[int]:
        return invalid_positions(self._connection)

    @override
    def continuations(self) -> list[Continuation]:
        return continuations(self._connection)

    @override
    def edge(self) -> tuple[list[Tile], bytes]:
        rows = self._connection.execute(_QUERIES["edge"]).fetchall()
        tiles = [Tile(level, index, _split(hashes)) for level, index, hashes, _ in rows]
        return tiles, (rows[0][3] if rows else None) or b""

    @override
    def leaves(self, first: int, limit: int) -> Iterator[bytes]:
        return leaves(self._connection, first, limit, self._last)

    @override
    def write(self, tiles: Sequence[Tile], positions: bytes, first: int) -> None:
        rows = [
            (
                tile.level,
                tile.index,
                b"".join(tile.hashes),
                positions[(tile.index - first) * TILE * 8 :][: len(tile.hashes) * 8] if tile.level == 0 else None,
            )
            for tile in tiles
        ]
        with self._connection.cursor() as cursor:
            cursor.executemany(_QUERIES["write_tile"], rows)

    @override
    def entries(self, level: int, first: int, count: int) -> Sequence[bytes]:
        index, offset = divmod(first, TILE)
        row = self._connection.execute(_QUERIES["tile"], [level, index]).fetchone()
        return _split(row[0] if row else None)[offset : offset + count]

    @override
    def last(self) -> KeptNote | None:
        row = self._connection.execute(_QUERIES["last_checkpoint"]).fetchone()
        return KeptNote(DATABASE, row[0]) if row else None

    @override
    def keep(self, checkpoint: Checkpoint, note: str) -> None:
        row = [checkpoint.size, checkpoint.position, checkpoint.root, note, checkpoint.time]
        self._connection.execute(_QUERIES["keep_checkpoint"], row)


class PostgresTreeStore(TreeStore):
    """`patience`: seconds that one process waits for another. It is also how long a process may be suspended before the server lets the
    next one go on. A step takes a fraction of that. `replicated`: only what synchronous standbys have is taken in.
    """

    def __init__(self, url: str, patience: float = 30.0, *, replicated: bool = False) -> None:
        self._url = url
        self._replicated = replicated
        limit = f"{int(patience * 1000)}"
        self._session = Session(
            application="preferences checkpoint",
            settings={"lock_timeout": limit, "idle_in_transaction_session_timeout": limit, "enable_sort": "off"},
            connect_within=5,
            # Longer than the lock timeout, after which the server itself ends the wait for another process.
            answer_within=patience + 5,
        )

    @override
    @contextmanager
    def exclusively(self) -> Iterator[PostgresTree]:
        with connect_blocking(self._url, self._session) as connection:
            connection.execute(_QUERIES["hold"])
            # Looked at only now, so the end is not before the end of the tree, which another process may just have extended.
            last = replicated_end(connection, _CONFIRMED_WITHIN) if self._replicated else LAST
            yield PostgresTree(connection, last)


@contextmanager
def reading(url: str) -> Iterator[BlockingConnection]:
    session = Session(application="preferences audit", connect_within=5, answer_within=_READ_WITHIN)
    with connect_blocking(url, session) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection
