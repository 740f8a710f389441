"""Where the log differs from its tiles, by position."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from application.evidence import LeafTile
from domain.leaf import moved
from domain.merkle import leaf_hash

MOST: Final = 100
"""Differences that are looked at closely."""


class Kind(StrEnum):
    ALTERED = "altered"
    MISSING = "missing"
    ADDED = "added"
    REORDERED = "reordered"
    CONTRADICTED = "contradicted"
    LOST = "lost"
    TILE = "tile"
    CHECKPOINT = "checkpoint"


class Fault(NamedTuple):
    """It lies at a position from `first` to `last`; 0 where it isn't the log's."""

    kind: Kind
    first: int
    last: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`index` counts the log's events before it. `hash` is what the tiles have, `leaf` what the log has there now."""

    position: int
    index: int
    hash: bytes | None
    leaf: bytes | None


class Differences:
    """Compares tile by tile while both agree, and entry by entry, by position, from where they don't any more."""

    def __init__(self, tiles: Iterator[LeafTile]) -> None:
        self._tiles = tiles
        self._expected: deque[tuple[bytes, bytes]] = deque()
        self._found: list[Difference] = []
        self._count = 0
        self._index = 0
        self.entries = 0
        """Of the tiles, so far."""

    def compare(self, hashes: Sequence[bytes], positions: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """The next events of the log."""
        if not self._expected:
            tile = next(self._tiles, None)
            if tile is None:  # behind what the tree covers
                self._index += len(hashes)
                return
            if tile.hashes == b"".join(hashes) and tile.positions == b"".join(positions):
                self._index += len(hashes)
                self.entries += len(hashes)
                return
            self._expect(tile)
        expected = self._expected
        for hash_, position, leaf in zip(hashes, positions, leaves, strict=True):
            while self._awaits() and expected[0][0] < position:
                self._missing()
            if not self._awaits():
                self._index += 1
                continue
            if expected[0][0] > position:
                self._note(position, None, leaf)
            else:
                _, was = expected.popleft()
                if was != hash_:
                    self._note(position, was, leaf)
            self._index += 1

    def finish(self) -> None:
        """The log has ended; what the tiles still have is missing in it."""
        while self._awaits():
            self._missing()

    def faults(self, signed: int) -> list[Fault]:
        """The differences behind the first `signed` events, by position. Those before are proven to be as they were."""
        found = [one for one in self._found if one.index >= signed]
        leaves = [one for one in found if one.leaf is not None]
        faults = []
        for one in found:
            now = next((other for other in leaves if other is not one and _was(other, one)), None)
            faults.append(_fault(one, now))
        if faults and self._count > len(self._found):
            more = self._count - len(self._found)
            last = faults[-1]
            faults[-1] = last._replace(sentence=f"{last.sentence}; and {more} more differences behind it")
        return faults

    def proven(self, signed: int) -> list[Fault]:
        """The differences among the first `signed` events, where it must be the tiles that were altered."""
        return [
            Fault(
                Kind.TILE,
                0,
                0,
                f"the tree was altered at position {one.position}; the log itself is as signed",
            )
            for one in self._found
            if one.index < signed
        ]

    def _awaits(self) -> bool:
        while not self._expected:
            tile = next(self._tiles, None)
            if tile is None:
                return False
            self._expect(tile)
        return True

    def _expect(self, tile: LeafTile) -> None:
        hashes, positions = tile.hashes, tile.positions or b""
        count = min(len(hashes) // 32, len(positions) // 8)
        self.entries += count
        for number in range(count):
            self._expected.append((positions[number * 8 :][:8], hashes[number * 32 :][:32]))

    def _missing(self) -> None:
        position, was = self._expected.popleft()
        self._note(position, was, None)

    def _note(self, position: bytes, was: bytes | None, leaf: bytes | None) -> None:
        self._count += 1
        if len(self._found) < MOST:
            kept = None if leaf is None else bytes(leaf)
            self._found.append(Difference(int.from_bytes(position, "big"), self._index, was, kept))


def _was(other: Difference, one: Difference) -> bool:
    """Whether what stands at `other` is what once stood at `one`."""
    assert other.leaf is not None
    return one.hash == leaf_hash(moved(other.leaf, one.position))


def _fault(one: Difference, now: Difference | None) -> Fault:
    if now is not None:
        kind, sentence = Kind.REORDERED, f"was reordered: what stood there stands at {now.position}"
    elif one.hash is None:
        kind, sentence = Kind.ADDED, "was added"
    elif one.leaf is None:
        kind, sentence = Kind.MISSING, "is missing"
    else:
        kind, sentence = Kind.ALTERED, "was altered"
    return Fault(kind, one.position, one.position, f"position {one.position} {sentence}")
