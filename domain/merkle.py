"""The Merkle tree of RFC 6962, section 2.1: one hash for a whole log, and short proofs that the log contains an event.

The tree is stored in tiles, as in C2SP's tlog-tiles: a tile of level 0 holds the hashes of 256 leaves, a tile of level n the roots of 256
full tiles of level n - 1. The rightmost tile of a level may be unfinished. One tile is enough to compute any node below it, so a proof
over a billion leaves reads only a few tiles.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

TILE: Final = 256
"""Hashes in a full tile."""

HASH: Final = 32
"""Bytes of a hash."""

EMPTY_ROOT: Final = sha256(b"").digest()

Entries = Callable[[int, int, int], Sequence[bytes]]
"""Reads tiles: takes the level, the number of the first entry, and how many entries. One call never spans two tiles."""


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over these hashes: leaves, or roots of subtrees of the same size. Only the last subtree may be smaller.

    It is computed level by level; a hash without a partner moves up unchanged. The result equals that of RFC 6962, which splits from the
    top.
    """
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > 1:
        ones = iter(hashes)
        above = [sha256(b"\x01" + left + right).digest() for left, right in zip(ones, ones, strict=False)]
        if len(hashes) % 2:
            above.append(hashes[-1])
        hashes = above
    return hashes[0]


@dataclass(frozen=True, slots=True)
class Tile:
    """`index` counts the tiles of a level from the left."""

    level: int
    index: int
    hashes: Sequence[bytes]


class GrowingTree:
    """A tree that only grows at its right end. It keeps its right edge: the unfinished tile of each level, from level 0 up."""

    def __init__(self, edge: Sequence[Sequence[bytes]] = ()) -> None:
        self._edge = [list(hashes) for hashes in edge] or [[]]

    @property
    def size(self) -> int:
        """The number of leaves. The level above counts the finished tiles of a level."""
        return self._index(-1)

    @property
    def edge(self) -> list[list[bytes]]:
        """All that must be stored to go on later."""
        return self._edge

    @property
    def room(self) -> int:
        """How many leaves fit until the unfinished tile is full."""
        return TILE - len(self._edge[0])

    def root(self, more: Sequence[bytes] = ()) -> bytes:
        """The root, or the root with a few `more` leaves. There must be room for them."""
        right: Sequence[bytes] = [*self._edge[0], *more]
        for hashes in self._edge[1:]:
            right = [*hashes, root_of(right)] if right else hashes
        return root_of(right)

    def append(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Append leaves; there must be room for them. Returns the tiles that this call finished, from level 0 up."""
        finished: list[Tile] = []
        self._edge[0] += leaves
        level = 0
        while len(hashes := self._edge[level]) == TILE:
            if level + 1 == len(self._edge):
                self._edge.append([])
            finished.append(Tile(level, self._index(level), hashes))
            self._edge[level] = []
            level += 1
            self._edge[level].append(root_of(hashes))
        return finished

    def unfinished(self) -> Iterator[Tile]:
        """The edge as tiles, without empty ones."""
        for level, hashes in enumerate(self._edge):
            if hashes:
                yield Tile(level, self._index(level), list(hashes))

    def _index(self, level: int) -> int:
        """The index of the unfinished tile, which equals the number of finished ones. Below level 0, each leaf counts as a tile."""
        return sum(len(hashes) * TILE**height for height, hashes in enumerate(self._edge[level + 1 :]))


def subtree(begin: int, end: int, entries: Entries) -> bytes:
    """The root over the leaves from `begin` to before `end`. `begin` is a multiple of the next power of two."""
    width = end - begin
    if width & (width - 1):
        middle = begin + _split(width)
        return node_hash(subtree(begin, middle, entries), subtree(middle, end, entries))
    level = (width.bit_length() - 1) // 8
    return root_of(entries(level, begin // TILE**level, width // TILE**level))


def inclusion_proof(index: int, size: int, entries: Entries) -> list[bytes]:
    """Proves that leaf `index` is in the tree of this size (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(subtree(middle, end, entries))
            end = middle
        else:
            proof.append(subtree(begin, middle, entries))
            begin = middle
    return proof[::-1]


def consistency_proof(older: int, newer: int, entries: Entries) -> list[bytes]:
    """Proves that the tree of size `newer` begins with the tree of size `older` (RFC 6962, section 2.1.2)."""
    if not 0 < older <= newer:
        raise ValueError(f"no tree of {newer} leaves continues one of {older}")
    proof: list[bytes] = []
    begin, end = 0, newer
    while older != end:
        middle = begin + _split(end - begin)
        if older <= middle:
            proof.append(subtree(middle, end, entries))
            end = middle
        else:
            proof.append(subtree(begin, middle, entries))
            begin = middle
    if begin:
        proof.append(subtree(begin, end, entries))
    return proof[::-1]


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows this leaf's hash at this index (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            computed = node_hash(sibling, computed)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and computed == root


def continues(older_root: bytes, older: int, newer_root: bytes, newer: int, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the newer tree begins with the older one (RFC 9162, section 2.1.4.2)."""
    if not 0 < older <= newer:
        return False
    if older == newer:
        return not proof and older_root == newer_root
    path = [older_root, *proof] if older & (older - 1) == 0 else list(proof)
    if not path:
        return False
    number, last = older - 1, newer - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and old == older_root and new == newer_root


def _split(width: int) -> int:
    """The largest power of two that is smaller than `width`."""
    return 1 << ((width - 1).bit_length() - 1)
