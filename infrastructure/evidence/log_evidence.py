"""Reads the data of a verification from PostgreSQL and from the file of checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, LiteralString, Self

from psycopg import sql
from typing_extensions import override

from application.evidence.checkpoints import DATABASE, KeptNote, LeafTile, ReadProgress, StoredEvidence
from domain.continued_log import Continuation
from infrastructure.evidence.checkpoint_file import FileAsOfNow
from infrastructure.evidence.log_tree import continuations, invalid_positions, leaves, reading
from infrastructure.log.log_table import about
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("evidence")
_AT_ONCE: Final = 64
"""Tiles that are fetched at once: half a megabyte."""


class PostgresEvidence(StoredEvidence):
    """Reads one moment, on two connections that share a snapshot. The log streams on one of them all the time.

    `published` are checkpoints kept elsewhere, read at an earlier moment. A later checkpoint would cover events that the snapshot does
    not have.
    """

    def __init__(self, log: BlockingConnection, tree: BlockingConnection, published: FileAsOfNow | None) -> None:
        self._log = log
        self._tree = tree
        self._published = {} if published is None else {published.place: published}

    @classmethod
    @contextmanager
    def open(cls, url: str, published: FileAsOfNow | None) -> Iterator[Self]:
        with reading(url) as log, reading(url) as tree:
            row = log.execute("SELECT pg_export_snapshot()").fetchone()
            assert row is not None
            tree.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(row[0])))
            log.execute("SET LOCAL enable_sort = off")
            yield cls(log, tree, published)

    def about(self) -> int:
        """The approximate number of events."""
        return about(self._tree)

    @override
    def leaves(self, after: int, limit: int | None) -> Iterator[bytes]:
        return leaves(self._log, after + 1, limit)

    @override
    def invalid_positions(self) -> list[int]:
        return invalid_positions(self._tree)

    @override
    def continuations(self) -> list[Continuation]:
        return continuations(self._tree)

    @override
    def leaf_tiles(self, first: int) -> Iterator[LeafTile]:
        with self._tree.cursor("leaf_tiles", binary=True) as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(_QUERIES["leaf_tiles"], [first])
            for row in cursor:
                yield LeafTile(*row)

    @override
    def tile(self, level: int, index: int) -> bytes | None:
        row = self._tree.execute(_QUERIES["tile"], [level, index]).fetchone()
        return row[0] if row else None

    @override
    def tree_size(self) -> int:
        row = self._tree.execute(_QUERIES["tree_size"]).fetchone()
        return int(row[0]) if row else 0

    @override
    def places(self) -> Sequence[str]:
        return [DATABASE, *self._published]

    @override
    def notes(self, place: str, after: ReadProgress) -> Iterator[KeptNote]:
        if place != DATABASE:
            yield from self._published[place].notes(after)
            return
        with self._tree.cursor("notes") as cursor:
            cursor.execute(_QUERIES["notes"], [after.mark])
            for size, note in cursor:
                yield KeptNote(DATABASE, note, size)
