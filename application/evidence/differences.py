"""Finds the positions at which the log differs from its tiles."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from application.evidence.checkpoints import LeafTile
from domain.leaf import moved
from domain.merkle import TILE, leaf_hash

MAX_DIFFERENCES: Final = 100
"""Differences that are kept in detail. Later ones are only counted."""


class Kind(StrEnum):
    ALTERED = "altered"
    MISSING = "missing"
    ADDED = "added"
    REORDERED = "reordered"
    CONTRADICTED = "contradicted"
    LOST = "lost"
    TILE = "tile"
    CHECKPOINT = "checkpoint"
    SETTINGS = "settings"


class Fault(NamedTuple):
    """A fault at a position from `first` to `last`; both are 0 if no position can be named."""

    kind: Kind
    first: int
    last: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A position at which log and tiles differ. `index` is the number of events in the log before it.

    `hash` is the hash in the tiles, `leaf` the leaf in the log now; None if there is none.
    """

    position: int
    index: int
    hash: bytes | None
    leaf: bytes | None


@dataclass(slots=True)
class Compared:
    """The progress and the findings of a comparison: the whole state that is needed to go on later.

    `used` entries of tile number `tile` were compared. `exhausted`: the log has events after the last tile that existed then.
    """

    index: int = 0
    position: int = 0
    tile: int = 0
    used: int = 0
    exhausted: bool = False
    count: int = 0
    found: list[Difference] = field(default_factory=list)

    @property
    def next_tile(self) -> int:
        """The number of the tile that should have the next entry."""
        return self.tile + 1 if self.used == TILE else self.tile


class Differences:
    """Compares whole tiles as long as log and tiles agree. From the first difference on, it compares entries by position.

    `tiles` must begin with `so_far.next_tile`.
    """

    def __init__(self, tiles: Iterator[LeafTile], so_far: Compared) -> None:
        self._tiles = tiles
        self._so_far = so_far
        self._expected: deque[tuple[bytes, bytes]] = deque()
        self.entries = 0
        """How many entries of the tiles this object has compared."""
        self._skip(so_far)

    def compare(self, hashes: Sequence[bytes], positions: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """Compare the next events of the log."""
        so_far = self._so_far
        so_far.position = int.from_bytes(positions[-1], "big")
        if not self._expected:
            tile = self._next()
            if tile is None:  # The tree doesn't cover these events.
                so_far.index += len(hashes)
                return
            if tile.hashes == b"".join(hashes) and tile.positions == b"".join(positions):
                so_far.index += len(hashes)
                so_far.used = len(hashes)
                self.entries += len(hashes)
                return
            self._expect(tile)
        expected = self._expected
        for hash_, position, leaf in zip(hashes, positions, leaves, strict=True):
            while self._awaits() and expected[0][0] < position:
                self._missing()
            if not self._awaits():
                so_far.index += 1
                continue
            if expected[0][0] > position:
                self._note(position, None, leaf)
            else:
                _, was = self._take()
                if was != hash_:
                    self._note(position, was, leaf)
            so_far.index += 1

    def finish(self) -> None:
        """Call this at the end of the log. Entries that only the tiles have are missing in the log."""
        while self._awaits():
            self._missing()

    def faults(self, signed: int) -> list[Fault]:
        """The differences after the first `signed` events, by position. A checkpoint proves that the events before are unaltered."""
        found = [one for one in self._so_far.found if one.index >= signed]
        leaves = [one for one in found if one.leaf is not None]
        faults = []
        for one in found:
            now = next((other for other in leaves if other is not one and _was(other, one)), None)
            faults.append(_fault(one, now))
        if faults and self._so_far.count > len(self._so_far.found):
            more = self._so_far.count - len(self._so_far.found)
            last = faults[-1]
            faults[-1] = last._replace(sentence=f"{last.sentence}; and {more} more differences behind it")
        return faults

    def proven(self, signed: int) -> list[Fault]:
        """The differences among the first `signed` events. The events are proven, so the tiles must have been altered."""
        return [
            Fault(
                Kind.TILE,
                one.position,
                one.position,
                f"the tree was altered at position {one.position}; the log itself is as signed",
            )
            for one in self._so_far.found
            if one.index < signed
        ]

    def _skip(self, so_far: Compared) -> None:
        """Skip the entries that were compared before.

        If the tiles had ended then, new tiles may exist now, also for events that were skipped because they had no tile.
        """
        tile, used = so_far.next_tile, so_far.used % TILE
        if used and self._awaits() and so_far.tile == tile:
            for _ in range(min(used, len(self._expected))):
                self._take()
        if so_far.exhausted:
            last = so_far.position.to_bytes(8, "big")
            while self._awaits() and self._expected[0][0] <= last:
                self._take()
            so_far.exhausted = False
        self.entries = 0

    def _next(self) -> LeafTile | None:
        tile = next(self._tiles, None)
        if tile is None:
            self._so_far.exhausted = True
        else:
            self._so_far.tile, self._so_far.used = tile.index, 0
        return tile

    def _awaits(self) -> bool:
        while not self._expected:
            tile = self._next()
            if tile is None:
                return False
            self._expect(tile)
        return True

    def _expect(self, tile: LeafTile) -> None:
        hashes, positions = tile.hashes, tile.positions or b""
        for number in range(min(len(hashes) // 32, len(positions) // 8)):
            self._expected.append((positions[number * 8 :][:8], hashes[number * 32 :][:32]))

    def _take(self) -> tuple[bytes, bytes]:
        self._so_far.used += 1
        self.entries += 1
        return self._expected.popleft()

    def _missing(self) -> None:
        position, was = self._take()
        self._note(position, was, None)

    def _note(self, position: bytes, was: bytes | None, leaf: bytes | None) -> None:
        self._so_far.count += 1
        if len(self._so_far.found) < MAX_DIFFERENCES:
            kept = None if leaf is None else bytes(leaf)
            self._so_far.found.append(Difference(int.from_bytes(position, "big"), self._so_far.index, was, kept))


def _was(other: Difference, one: Difference) -> bool:
    """Whether the leaf at `other` is the one that was once at `one`."""
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
