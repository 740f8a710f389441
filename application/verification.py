"""Holding the log to what was signed: everything is computed anew from the events, and no stored hash is believed."""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby, islice
from typing import Final

from application.differences import Differences, Fault, Kind
from application.evidence import DATABASE, KeptNote, Notes, StoredEvidence
from domain.checkpoint import Checkpoint
from domain.continued_log import loss_of
from domain.leaf import POSITION
from domain.merkle import TILE, GrowingTree, Tile

REPORT_EVERY: Final = 16 * TILE
"""Events between two reports of progress."""


@dataclass(slots=True)
class Verdict:
    """`faults` are the first ones, by position; there may be more. `covered` is the newest checkpoint that the log agrees with.

    `checkpoints` counts those that it agrees with, `agreeing` the same by place. `kept` counts all that each place has.
    """

    events: int = 0
    position: int = 0
    checkpoints: int = 0
    agreeing: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    covered: Checkpoint | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def uncovered(self) -> int:
        """Events behind the newest checkpoint: nothing is signed about them yet."""
        return self.events - (self.covered.size if self.covered else 0)

    def lacks(self, place: str) -> bool:
        """Whether there are checkpoints, but none in this place: nothing there remembers more than the others do."""
        return bool(self.kept) and not self.kept[place]

    @property
    def good(self) -> bool:
        return not self.faults

    @property
    def altered(self) -> bool:
        """Whether it is the log itself that isn't as it was, and not only what is kept beside it."""
        return any(fault.kind not in {Kind.TILE, Kind.CHECKPOINT, Kind.LOST} for fault in self.faults)

    @property
    def lost(self) -> bool:
        """Whether signed events are gone, and the log says itself that they were lost when it was continued on another server."""
        return any(fault.kind is Kind.LOST for fault in self.faults)


class Verification:
    """One pass over the log, at constant memory. `progress` is called with the number of events seen."""

    def __init__(
        self, stored: StoredEvidence, notes: Notes, origin: str, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        self._stored = stored
        self._notes = notes
        self._origin = origin
        self._progress = progress
        self._tree = GrowingTree()
        self._verdict = Verdict()
        self._contradicted: Checkpoint | None = None
        self._committed = 0
        """Events that the newest checkpoint in the database covers: as many as its tree must have."""
        self._bad_notes: list[Fault] = []
        self._bad_tiles: list[Fault] = []

    def run(self) -> Verdict:
        verdict, tree = self._verdict, self._tree
        tree_size = self._stored.tree_size()
        differences = Differences(self._stored.leaf_tiles())
        checkpoints = self._checkpoints()
        checkpoint = next(checkpoints, None)
        leaves = self._stored.leaves()
        position = b""
        while block := list(islice(leaves, TILE)):
            hashes = [sha256(b"\x00" + leaf).digest() for leaf in block]
            positions = [leaf[POSITION] for leaf in block]
            while checkpoint is not None and checkpoint[0].size <= verdict.events + len(hashes):
                self._hold_to(checkpoint, tree.root(hashes[: checkpoint[0].size - verdict.events]))
                checkpoint = next(checkpoints, None)
            differences.compare(hashes, positions, block)
            for tile in tree.append(hashes):
                self._compare(tile, tree_size)
            verdict.events += len(hashes)
            position = positions[-1]
            if verdict.events % REPORT_EVERY == 0:
                self._progress(verdict.events)
        for tile in tree.unfinished():
            self._compare(tile, tree_size)
        differences.finish()
        verdict.position = int.from_bytes(position, "big")
        while checkpoint is not None:
            self._hold_to(checkpoint, None)
            checkpoint = next(checkpoints, None)
        self._progress(verdict.events)
        verdict.faults = self._judged(differences)
        return verdict

    def _judged(self, differences: Differences) -> list[Fault]:
        """What the differences mean: where the log is as it was signed, it is the tiles that were altered."""
        verdict, covered = self._verdict, self._verdict.covered
        signed = covered.size if covered else 0
        faults = differences.faults(signed)
        if self._contradicted is not None:
            faults.append(self._contradiction(self._contradicted))
        elif verdict.events and covered is None and not self._bad_notes:
            faults.append(Fault(Kind.CHECKPOINT, 0, 0, "there is no checkpoint that the log could be held to"))
        as_signed = not faults
        faults += differences.proven(signed)[:1]
        if as_signed and not differences.proven(signed):
            # A checkpoint is in the file before its tiles are committed, and after a crash in between without them.
            if differences.entries < self._committed:
                sentence = f"the tree was cut to {differences.entries} events; the log itself is as signed"
                self._bad_tiles.append(Fault(Kind.TILE, 0, 0, sentence))
            faults += self._bad_tiles[:1]
        return [*map(_misplaced, self._stored.misplaced()), *faults, *self._bad_notes]

    def _hold_to(self, kept: tuple[Checkpoint, Collection[str]], root: bytes | None) -> None:
        """`root`: that over as many events; None if there are fewer."""
        checkpoint, places = kept
        if root == checkpoint.root:
            self._verdict.covered = checkpoint
            self._verdict.checkpoints += 1
            self._verdict.agreeing.update(places)
            if DATABASE in places:
                self._committed = checkpoint.size
        elif self._contradicted is None:
            self._contradicted = checkpoint

    def _contradiction(self, signed: Checkpoint) -> Fault:
        verdict, before = self._verdict, self._verdict.covered
        first = before.position + 1 if before is not None and before.size < signed.size else 1
        lost = loss_of(signed.position, self._stored.continuations())
        when = f"{signed.time:%Y-%m-%d %H:%M:%S} UTC"
        if lost is not None and first <= lost.previous_end + 1:
            sentence = (
                f"positions {lost.previous_end + 1} to {signed.position} were signed on {when} and are lost: the log was continued "
                f"on another server at position {lost.position} on {lost.at:%Y-%m-%d %H:%M:%S} UTC"
            )
            return Fault(Kind.LOST, lost.previous_end + 1, signed.position, sentence)
        if verdict.events < signed.size:
            sentence = (
                f"the log has {verdict.events} events up to position {verdict.position}; "
                f"{signed.size} up to position {signed.position} were signed on {when}"
            )
        else:
            sentence = f"positions {first} to {signed.position} are not what was signed on {when}"
        return Fault(Kind.CONTRADICTED, first, signed.position, sentence)

    def _compare(self, tile: Tile, tree_size: int) -> None:
        """Tiles of higher levels; those of level 0 are compared leaf by leaf."""
        expected = min(len(tile.hashes), tree_size // TILE**tile.level - tile.index * TILE)
        if tile.level == 0 or expected <= 0:
            return
        if self._stored.tile(tile.level, tile.index) != b"".join(tile.hashes[:expected]):
            sentence = f"tile {tile.index} of level {tile.level} was altered; the log itself is as signed"
            self._bad_tiles.append(Fault(Kind.TILE, 0, 0, sentence))

    def _checkpoints(self) -> Iterator[tuple[Checkpoint, Collection[str]]]:
        """Those of all places by size, each with its places; what is none, or is out of order, is a fault of its place."""
        places = [self._opened(notes) for notes in self._stored.checkpoints()]
        merged = heapq.merge(*places, key=lambda kept: kept[0].size)
        for checkpoint, kept in groupby(merged, key=lambda kept: kept[0]):
            yield checkpoint, {place for _, place in kept}

    def _opened(self, kept: Iterator[KeptNote]) -> Iterator[tuple[Checkpoint, str]]:
        size = 0
        for number, (place, note) in enumerate(((one.place, one.note) for one in kept), 1):
            self._verdict.kept[place] += 1
            try:
                checkpoint = Checkpoint.parse(self._notes.open(note))
                if checkpoint.origin != self._origin:
                    raise ValueError(f"one of {checkpoint.origin}")
                if checkpoint.size < size:
                    raise ValueError("out of order")
            except ValueError as error:
                self._bad_notes.append(Fault(Kind.CHECKPOINT, 0, 0, f"checkpoint {number} of {place} is {error}"))
                continue
            size = checkpoint.size
            yield checkpoint, place


def _misplaced(position: int) -> Fault:
    return Fault(Kind.ADDED, position, position, f"position {position} was added, where no event can be")
