"""The parts of the evidence, as the use cases need them: the log as leaves, its tiles, and signed checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from domain.checkpoint import Checkpoint
from domain.continued_log import Continuation
from domain.merkle import Tile

DATABASE: Final = "the database"
"""The place name of checkpoints in the database. They are written in one transaction with the tree."""


class Contradiction(Exception):
    """The log isn't what was signed. The message is one sentence that says what is wrong."""


class SignedEventsLost(Contradiction):
    """The log isn't what was signed, and the log itself says why: it was continued on another server, which lacked signed events."""


@dataclass(frozen=True, slots=True)
class LeafTile:
    """A stored tile of level 0. `positions` has 8 bytes for each hash, so that a missing leaf can be named by its position."""

    index: int
    hashes: bytes
    positions: bytes


@dataclass(frozen=True, slots=True)
class KeptNote:
    """A signed note, and the place where it is kept: `DATABASE` or the name of a file. After this note, the place is read from `mark`."""

    place: str
    note: str
    mark: int = 0


class ReadProgress(NamedTuple):
    """How far the checkpoints of a place are read: how many, the `mark` to read on from, and the size of the newest one.

    Each place has its own unit for `mark`.
    """

    read: int = 0
    mark: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class SigningStatus:
    """How far the log is signed. Monitoring uses it to notice when signing has stopped.

    `last` is the time of the newest checkpoint, None if there is none. `lag_seconds` is how long the first unsigned event has waited for
    the next checkpoint; 0 if every event is signed.
    """

    last: datetime | None
    lag_seconds: float


class UnknownKey(ValueError):
    """The note is well-formed, but all keys that it names are unknown here. `signers` are their names and hashes."""

    def __init__(self, text: str, signers: Sequence[str]) -> None:
        super().__init__("not signed with a key that is known here")
        self.text = text
        self.signers = signers


class Notes(Protocol):
    """Opens signed notes."""

    @property
    def known(self) -> Sequence[str]:
        """The trusted keys, by name and hash. Our own key is the first."""
        ...

    def open(self, note: str) -> str:
        """The text of the note. Raises `UnknownKey` if the note names none of the trusted keys.

        Raises `ValueError`, with a phrase that says why, for anything else that no trusted key has signed.
        """
        ...


class Signer(Protocol):
    def sign(self, text: str) -> str: ...


class PublishedCheckpoints(Protocol):
    """Checkpoints outside of the database. They are needed because a superuser could restore an older copy of the whole database."""

    def last(self) -> KeptNote | None: ...

    def append(self, note: str, *, after: KeptNote | None) -> None:
        """Append a checkpoint that continues `after`, which must still be the last one: another process may have appended meanwhile, for
        example behind a failover of the database, in which each of them held its lock on another server. Raises `OSError`.
        """
        ...


class StoredTree(Protocol):
    """The log and its tree, within one transaction. Only one writer of checkpoints at a time has such a transaction."""

    def invalid_positions(self) -> list[int]:
        """The first hundred positions below 1 that have an event. The service never writes an event there."""
        ...

    def continuations(self) -> Sequence[Continuation]:
        """The places where the log was continued on another server."""
        ...

    def edge(self) -> tuple[list[Tile], bytes]:
        """The rightmost tile of each level, from level 0 up, and the positions in the tile of level 0. The tiles may be full.

        They are returned as stored. The caller must check that they can be the edge of a tree.
        """
        ...

    def leaves(self, first: int, limit: int) -> Iterator[bytes]:
        """The log from a position on, in log order, as leaf data. Read the iterator to its end before calling another method."""
        ...

    def write(self, tiles: Sequence[Tile], positions: bytes, first: int) -> None:
        """Store tiles. `positions` are the positions of all leaves in the given tiles of level 0, the first of which is tile `first`."""
        ...

    def entries(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """`count` hashes of one tile, from entry `first` of the level on."""
        ...

    def last(self) -> KeptNote | None:
        """The newest checkpoint in the database."""
        ...

    def keep(self, checkpoint: Checkpoint, note: str) -> None: ...


class TreeStore(Protocol):
    def exclusively(self) -> AbstractContextManager[StoredTree]:
        """Wait for other writers of checkpoints. The writes are committed at the end of the context, unless it ends with an error."""
        ...


class StoredEvidence(Protocol):
    """All data that a verification reads, as of one moment."""

    def leaves(self, after: int, limit: int | None) -> Iterator[bytes]:
        """The log after a position, in log order, as leaf data. With a `limit`, only the first `limit` leaves."""
        ...

    def invalid_positions(self) -> list[int]:
        """The first hundred positions below 1 that have an event. The service never writes an event there."""
        ...

    def continuations(self) -> Sequence[Continuation]:
        """The places where the log was continued on another server."""
        ...

    def leaf_tiles(self, first: int) -> Iterator[LeafTile]:
        """The tiles of level 0, from tile `first` to the right."""
        ...

    def tile(self, level: int, index: int) -> bytes | None:
        """The hashes of a tile of a higher level."""
        ...

    def tree_size(self) -> int:
        """How many leaves the tiles cover."""
        ...

    def places(self) -> Sequence[str]:
        """The places where checkpoints are kept."""
        ...

    def notes(self, place: str, after: ReadProgress) -> Iterator[KeptNote]:
        """The checkpoints of a place that are not yet read, in the order of their size."""
        ...
