"""Verifies the log against its signed checkpoints. All hashes are computed again from the events; no stored hash is trusted."""

import heapq
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import groupby, islice
from typing import Final, NamedTuple

from application.evidence.checkpoints import DATABASE, Notes, ReadProgress, StoredEvidence
from application.evidence.differences import Differences, Fault, Kind
from application.evidence.foreign_checkpoint import ForeignCheckpoint, open_checkpoint
from application.evidence.verdict import Verdict
from application.evidence.verified import Verified
from domain.checkpoint import Checkpoint
from domain.continued_log import loss_of
from domain.leaf import POSITION
from domain.merkle import TILE, Tile

REPORT_EVERY: Final = 16 * TILE
"""Events between two reports of progress."""


class _Opened(NamedTuple):
    """A checkpoint as a place has it, and how far that place is read, this checkpoint included."""

    checkpoint: Checkpoint
    place: str
    reached: ReadProgress


class Verification:
    """A pass over the log, in constant memory, at once or step by step. `progress` is called with the number of events seen.

    `unsigned`: the log may have no checkpoint yet, as long as the tree is empty. Events in the tree were signed, so they need one.
    """

    def __init__(
        self,
        stored: StoredEvidence,
        notes: Notes,
        origin: str,
        progress: Callable[[int], None] = lambda _: None,
        *,
        so_far: Verified | None = None,
        unsigned: bool = False,
    ) -> None:
        self._stored = stored
        self._notes = notes
        self._origin = origin
        self._progress = progress
        self._unsigned = unsigned
        self._so_far = Verified() if so_far is None else so_far
        self._verdict = Verdict(events=self._so_far.tree.size, covered=self._so_far.covered)
        self._differences: Differences
        self._bad_notes: list[Fault] = []
        self._foreign: dict[tuple[str, str], tuple[int, int]] = {}
        """Checkpoints that don't fit the settings, by place and difference: the number of the first one, and their count."""

    def run(self) -> Verdict:
        """Verify the whole log."""
        self.step(None)
        return self._verdict

    def step(self, limit: int | None) -> tuple[list[Fault], bool]:
        """Verify `limit` more events, which must be whole tiles; None for all. Returns the faults that are known by then, and
        whether the log may go on."""
        verdict, so_far, tree = self._verdict, self._so_far, self._so_far.tree
        tree_size, began = self._stored.tree_size(), tree.size
        differences = Differences(self._stored.leaf_tiles(so_far.compared.next_tile), so_far.compared)
        leaves = self._stored.leaves(so_far.compared.position, limit)
        checkpoints = self._checkpoints()
        checkpoint = next(checkpoints, None)
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
            if verdict.events % REPORT_EVERY == 0:
                self._progress(verdict.events)
        seen = verdict.events - began
        if differences.entries < min(tree_size - began, seen):
            sentence = f"the tree lacks entries for the events from number {began + 1} on; the log itself is as signed"
            so_far.bad_tiles.append(Fault(Kind.TILE, 0, 0, sentence))
        verdict.position = so_far.compared.position
        if limit is not None and seen == limit:
            return [*self._settled(differences), *self._unusable_notes()], True
        for tile in tree.unfinished():
            self._compare(tile, tree_size)
        differences.finish()
        while checkpoint is not None:
            self._hold_to(checkpoint, None)
            checkpoint = next(checkpoints, None)
        self._progress(verdict.events)
        verdict.faults = self._judged(differences, tree_size)
        return verdict.faults, False

    def _settled(self, differences: Differences) -> list[Fault]:
        """The faults that no later event can change."""
        signed = self._signed
        faults = differences.proven(signed)
        if (contradicted := self._so_far.contradicted) is not None:
            faults += [*differences.faults(signed), self._contradiction(contradicted)]
        return faults

    def _judged(self, differences: Differences, tree_size: int) -> list[Fault]:
        """The faults behind the differences: if the log is as signed, the tiles were altered."""
        so_far, signed = self._so_far, self._signed
        faults = differences.faults(signed)
        if so_far.contradicted is not None:
            faults.append(self._contradiction(so_far.contradicted))
        elif self._lacks_checkpoints(tree_size):
            faults.append(Fault(Kind.CHECKPOINT, 0, 0, "there is no checkpoint that the log could be held to"))
        as_signed = not faults
        faults += differences.proven(signed)[:1]
        if as_signed and not differences.proven(signed):
            # Only checkpoints in the database count here. The file may be ahead of the tree after a crash, because a
            # checkpoint is in the file before its tiles are committed.
            if tree_size < so_far.committed:
                sentence = f"the tree was cut to {tree_size} events; the log itself is as signed"
                so_far.bad_tiles.append(Fault(Kind.TILE, 0, 0, sentence))
            faults += so_far.bad_tiles[:1]
        return [*map(_misplaced, self._stored.invalid_positions()), *faults, *self._unusable_notes()]

    def _unusable_notes(self) -> list[Fault]:
        return [*self._bad_notes, *(_misfit(*where, *found) for where, found in self._foreign.items())]

    @property
    def _signed(self) -> int:
        """How many events are proven to be unaltered."""
        return self._so_far.covered.size if self._so_far.covered else 0

    def _lacks_checkpoints(self, tree_size: int) -> bool:
        if self._unsigned and not tree_size:
            return False
        return bool(self._verdict.events) and self._so_far.covered is None and not self._unusable_notes()

    def _hold_to(self, kept: tuple[Checkpoint, list["_Opened"]], root: bytes | None) -> None:
        """Compare a checkpoint with `root`, the root over as many events as it covers; None if the log has fewer."""
        checkpoint, places = kept
        self._so_far.places.update({place: reached for _, place, reached in places})
        if root == checkpoint.root:
            self._so_far.covered = self._verdict.covered = checkpoint
            self._verdict.checkpoints += 1
            self._verdict.agreeing.update(dict.fromkeys([place for _, place, _ in places], 1))
            if any(place == DATABASE for _, place, _ in places):
                self._so_far.committed = checkpoint.size
        elif self._so_far.contradicted is None:
            self._so_far.contradicted = checkpoint

    def _contradiction(self, signed: Checkpoint) -> Fault:
        verdict, before = self._verdict, self._so_far.covered
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
        """Compare a tile of a higher level. `Differences` compares the tiles of level 0, leaf by leaf."""
        expected = min(len(tile.hashes), tree_size // TILE**tile.level - tile.index * TILE)
        if tile.level == 0 or expected <= 0:
            return
        if self._stored.tile(tile.level, tile.index) != b"".join(tile.hashes[:expected]):
            sentence = f"tile {tile.index} of level {tile.level} was altered; the log itself is as signed"
            self._so_far.bad_tiles.append(Fault(Kind.TILE, 0, 0, sentence))

    def _checkpoints(self) -> Iterator[tuple[Checkpoint, list["_Opened"]]]:
        """The checkpoints of all places, by size; each with the places that have it.

        An invalid checkpoint, or one out of order, is a fault of its place.
        """
        merged = heapq.merge(*map(self._opened, self._stored.places()), key=lambda opened: opened.checkpoint.size)
        for checkpoint, kept in groupby(merged, key=lambda opened: opened.checkpoint):
            yield checkpoint, list(kept)

    def _opened(self, place: str) -> Iterator["_Opened"]:
        reached = self._so_far.places.get(place, ReadProgress())
        for kept in self._stored.notes(place, reached):
            self._verdict.kept[place] += 1
            reached = reached._replace(read=reached.read + 1, mark=kept.mark)
            try:
                checkpoint = open_checkpoint(kept, "", self._notes, self._origin)
                if checkpoint.size < reached.size:
                    raise ValueError("out of order")
            except ForeignCheckpoint as error:
                first, count = self._foreign.get((place, error.difference), (reached.read, 0))
                self._foreign[place, error.difference] = first, count + 1
                continue
            except ValueError as error:
                sentence = f"checkpoint {reached.read} of {place} is {error}"
                self._bad_notes.append(Fault(Kind.CHECKPOINT, 0, 0, sentence))
                continue
            reached = reached._replace(size=checkpoint.size)
            yield _Opened(checkpoint, place, reached)


def _misfit(place: str, difference: str, first: int, count: int) -> Fault:
    others = f" (and {count - 1} more)" if count > 1 else ""
    return Fault(Kind.SETTINGS, 0, 0, f"checkpoint {first}{others} of {place} {difference}")


def _misplaced(position: int) -> Fault:
    return Fault(Kind.ADDED, position, position, f"position {position} was added, where no event can be")
