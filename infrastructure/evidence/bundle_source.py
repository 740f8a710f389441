"""Reads the parts of a bundle from PostgreSQL."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, LiteralString, Self
from uuid import UUID

from typing_extensions import override

from application.evidence.bundling import BundleSource
from application.evidence.checkpoints import KeptNote
from domain.leaf import Leaf
from domain.merkle import TILE
from infrastructure.evidence.log_tree import PostgresTree, reading
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.sql import queries

_QUERIES: Final[dict[str, LiteralString]] = queries("evidence")
_REMEMBERED: Final = 256
"""How many tiles are cached. Proofs of nearby events share tiles, and the tops of all proofs do."""


class PostgresBundleSource(BundleSource):
    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._tree = PostgresTree(connection)
        self._tile = lru_cache(_REMEMBERED)(lambda level, index: self._tree.entries(level, index * TILE, TILE))

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[Self]:
        with reading(url) as connection:
            yield cls(connection)

    @override
    def last(self) -> KeptNote | None:
        return self._tree.last()

    @override
    def stream(self, stream: UUID) -> list[Leaf]:
        return [Leaf(*row) for row in self._connection.execute(_QUERIES["stream"], [stream])]

    @override
    def key(self, stream: UUID) -> bytes | None:
        row = self._connection.execute(_QUERIES["key"], [stream]).fetchone()
        return row[0] if row else None

    @override
    def index(self, position: int) -> int:
        place = position.to_bytes(8, "big")
        edge, _ = self._tree.edge()
        tiles = range(edge[0].index + 1 if edge else 0)
        tile = max(0, bisect_right(tiles, place, key=lambda index: self._value("first_positions", index)) - 1)
        positions = self._value("positions", tile)
        entries = range(len(positions) // 8)
        return tile * TILE + bisect_left(entries, place, key=lambda entry: positions[entry * 8 :][:8])

    @override
    def entries(self, level: int, first: int, count: int) -> Sequence[bytes]:
        index, offset = divmod(first, TILE)
        return self._tile(level, index)[offset : offset + count]

    def _value(self, name: str, index: int) -> bytes:
        row = self._connection.execute(_QUERIES[name], [index]).fetchone()
        return row[0] or b"" if row else b""
