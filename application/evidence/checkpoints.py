"""What the evidence is made of, as the use cases need it: the log as leaves, its tiles, and signed checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from domain.checkpoint import Checkpoint
from domain.continued_log import Continuation
from domain.merkle import Tile

DATABASE: Final = "the database"
"""The place of checkpoints that are kept there, in one transaction with the tree."""


class Contradiction(Exception):
    """The log isn't what was signed. One sentence on what is wrong."""


class SignedEventsLost(Contradiction):
    """The log isn't what was signed, and says itself why: it was continued on another server, which lacked signed events."""


@dataclass(frozen=True, slots=True)
class LeafTile:
    """A tile of level 0 as it is stored. `positions` has 8 bytes for each hash, so that a leaf that is gone can be named."""

    index: int
    hashes: bytes
    positions: bytes


@dataclass(frozen=True, slots=True)
class KeptNote:
    """A signed note, and where it was kept: `DATABASE` or the name of a file. `mark` is where its place goes on behind it."""

    place: str
    note: str
    mark: int = 0


class Place(NamedTuple):
    """How far the checkpoints of a place were read: how many, where it goes on, and the size of the newest one.

    What `mark` counts is known to the place alone.
    """

    read: int = 0
    mark: int = 0
    size: int = 0


class UnknownKey(ValueError):
    """A note is whole, and only keys that aren't known here are named under it. `signers` are their names and hashes."""

    def __init__(self, text: str, signers: Sequence[str]) -> None:
        super().__init__("not signed with a key that is known here")
        self.text = text
        self.signers = signers


class Notes(Protocol):
    """Signed notes."""

    @property
    def known(self) -> Sequence[str]:
        """The keys that are trusted, by name and hash, ours first."""
        ...

    def open(self, note: str) -> str:
        """The text. Raises `UnknownKey` where the note names none of our keys, and `ValueError` for anything else that none of
        them has signed, with a phrase on why."""
        ...


class Signer(Protocol):
    def sign(self, text: str) -> str: ...


class PublishedCheckpoints(Protocol):
    """Checkpoints kept outside of the database, whose superuser could put back an older copy of all that is in it."""

    def last(self) -> KeptNote | None: ...

    def append(self, note: str) -> None: ...


class StoredTree(Protocol):
    """The log and its tree, within one transaction that nobody else who writes a checkpoint is in."""

    def misplaced(self) -> list[int]:
        """Positions below 1 at which an event stands, though none is ever put there: the first hundred."""
        ...

    def continuations(self) -> Sequence[Continuation]:
        """Where the log went on upon another server."""
        ...

    def edge(self) -> tuple[list[Tile], bytes]:
        """The rightmost tile of each level, from level 0 up, and the positions in that of level 0. They may be full.

        As they are stored: whether they can be the edge of a tree is for whoever asks to see.
        """
        ...

    def leaves(self, first: int, limit: int) -> Iterator[bytes]:
        """The log from a position on, in its order, as leaf data. To be read to its end before anything else is asked for."""
        ...

    def write(self, tiles: Sequence[Tile], positions: bytes, first: int) -> None:
        """Store tiles. `positions` are those of all of level 0, which begin with tile `first`."""
        ...

    def entries(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """Hashes of one tile."""
        ...

    def last(self) -> KeptNote | None:
        """The newest checkpoint in the database."""
        ...

    def keep(self, checkpoint: Checkpoint, note: str) -> None: ...


class TreeStore(Protocol):
    def exclusively(self) -> AbstractContextManager[StoredTree]:
        """Waits for others who write a checkpoint. What is written is committed at the end, unless an error leaves it."""
        ...


class StoredEvidence(Protocol):
    """All that a verification reads, as of one moment."""

    def leaves(self, after: int, limit: int | None) -> Iterator[bytes]:
        """The log behind a position, in its order, as leaf data; the first `limit` of it, if there is one."""
        ...

    def misplaced(self) -> list[int]:
        """Positions below 1 at which an event stands, though none is ever put there: the first hundred."""
        ...

    def continuations(self) -> Sequence[Continuation]:
        """Where the log went on upon another server."""
        ...

    def leaf_tiles(self, first: int) -> Iterator[LeafTile]:
        """Those of level 0, from this one on to the right."""
        ...

    def tile(self, level: int, index: int) -> bytes | None:
        """The hashes of a tile of a higher level."""
        ...

    def tree_size(self) -> int:
        """How many leaves the tiles hold."""
        ...

    def places(self) -> Sequence[str]:
        """Where checkpoints are kept."""
        ...

    def notes(self, place: str, after: Place) -> Iterator[KeptNote]:
        """The checkpoints of a place that come after those that were read, by size."""
        ...
