"""Extends the Merkle tree with the new events of the log, and signs its size and root."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from application.evidence.checkpoints import (
    DATABASE,
    Contradiction,
    Notes,
    PublishedCheckpoints,
    SignedEventsLost,
    Signer,
    StoredTree,
    TreeStore,
)
from application.evidence.foreign_checkpoint import open_last
from domain.checkpoint import Checkpoint
from domain.continued_log import loss_of
from domain.leaf import POSITION
from domain.merkle import HASH, TILE, GrowingTree, Tile, consistency_proof, continues, leaf_hash

STEP: Final = 512 * TILE
"""Events between two checkpoints, at most. This bounds the memory and the time of one step."""


class Checkpointer:
    """Writes checkpoints. Each one continues all checkpoints before it; a log that doesn't is never signed.

    It reads only the events since the last checkpoint, and again those of the last tile. Several checkpointers may run at the
    same time, in one process or in many.
    """

    def __init__(
        self,
        store: TreeStore,
        published: PublishedCheckpoints,
        signer: Signer,
        notes: Notes,
        origin: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._published = published
        self._signer = signer
        self._notes = notes
        self._origin = origin
        self._clock = clock

    def step(self, limit: int = STEP) -> tuple[Checkpoint | None, bool]:
        """Sign up to `limit` more events. Returns the checkpoint, None if there was nothing to sign, and whether more are left.

        Raises `Contradiction` if the log isn't what was signed before. Raises `ForeignCheckpoint` if the settings are those of another
        log or key; then the log can't be compared with its checkpoints.
        """
        with self._store.exclusively() as stored:
            if invalid_positions := stored.invalid_positions():
                raise Contradiction(f"an event was added at position {invalid_positions[0]}, where none can be")
            tree, position, new = self._grow(stored, limit)
            published = self._published.last()
            kept = [one for one in (stored.last(), published) if one is not None]
            known = open_last(kept, DATABASE, self._notes, self._origin)
            left = new == limit
            if left and any(before.size > tree.size for before in known):
                return None, left  # The tiles are being made again, and the signed size lies further on.
            root = tree.root()
            for before in known:
                _continue(before, tree.size, root, position, stored)
            if not tree.size or any(before.size == tree.size for before in known):
                return None, left
            checkpoint = Checkpoint(self._origin, tree.size, root, position, self._clock())
            note = self._signer.sign(checkpoint.text)
            # Append to the file first. After a crash in between, only the database lacks this checkpoint; the next one repairs that.
            self._published.append(note, after=published)
            stored.keep(checkpoint, note)
            return checkpoint, left

    def _grow(self, stored: StoredTree, limit: int) -> tuple[GrowingTree, int, int]:
        """The tree including the new events, its last position, and the number of new events."""
        edge, known = stored.edge()
        if not _is_edge(edge, known):
            raise Contradiction("the tree of the log is damaged: its rightmost tiles don't fit together")
        before = list(edge[0].hashes) if edge else []
        tree = GrowingTree([() if len(tile.hashes) == TILE else tile.hashes for tile in edge])
        hashes: list[bytes] = []
        positions: list[bytes] = []
        for leaf in stored.leaves(int.from_bytes(known[:8], "big") or 1, len(before) + limit):
            hashes.append(leaf_hash(leaf))
            positions.append(leaf[POSITION])
        if hashes[: len(before)] != before:
            end = int.from_bytes(known[-8:], "big")
            raise Contradiction(f"the end of the log, up to position {end}, is not what it was at the last checkpoint")
        tiles: list[Tile] = []
        done = len(before)
        while done < len(hashes):
            room = tree.room
            tiles += tree.append(hashes[done : done + room])
            done += room
        if len(hashes) > len(before):
            stored.write([*tiles, *tree.unfinished()], b"".join(positions), edge[0].index if edge else 0)
        return tree, int.from_bytes(positions[-1], "big") if positions else 0, len(hashes) - len(before)


def _is_edge(tiles: Sequence[Tile], positions: bytes) -> bool:
    """Whether these can be the rightmost tiles of a tree.

    Each level must count the full tiles of the level below, and there must be one position for each leaf.
    """
    above = 0
    for level in range(len(tiles) - 1, -1, -1):
        tile = tiles[level]
        count = len(tile.hashes)
        if tile.level != level or not 0 < count <= TILE or any(len(one) != HASH for one in tile.hashes):
            return False
        if tile.index + count // TILE != above:
            return False
        above = tile.index * TILE + count
    return len(positions) == (len(tiles[0].hashes) * 8 if tiles else 0)


def _continue(before: Checkpoint, size: int, root: bytes, position: int, stored: StoredTree) -> None:
    signed = f"were signed on {before.time:%Y-%m-%d at %H:%M:%S} UTC"
    if size >= before.size:
        proof = consistency_proof(before.size, size, stored.entries)
        if continues(before.root, before.size, root, size, proof):
            return
    if (lost := loss_of(before.position, stored.continuations())) is not None:
        raise SignedEventsLost(
            f"the log was continued on another server at position {lost.position}, and lost the events after position "
            f"{lost.previous_end}: events up to position {before.position} {signed}"
        )
    if size < before.size:
        raise Contradiction(
            f"the log has {size} events up to position {position}, "
            f"and {before.size} up to position {before.position} {signed}"
        )
    raise Contradiction(
        f"the first {before.size} events, up to position {before.position}, "
        f"are not what was signed on {before.time:%Y-%m-%d at %H:%M:%S} UTC"
    )
