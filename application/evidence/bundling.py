"""Makes an evidence bundle."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from application.evidence.bundle import BadBundle, Bundle, Decode, Opened, Proven, open_bundle
from application.evidence.checkpoints import Contradiction, KeptNote, Notes
from application.evidence.foreign_checkpoint import open_checkpoint
from domain.checkpoint import Checkpoint
from domain.events import PreferencesErased
from domain.leaf import Leaf
from domain.merkle import inclusion_proof
from domain.preferences import stream_id
from domain.published_catalogues import STREAM as CATALOGUES


class BundleSource(Protocol):
    """The log and its tree, both as of one moment."""

    def last(self) -> KeptNote | None:
        """The newest checkpoint."""
        ...

    def stream(self, stream: UUID) -> list[Leaf]:
        """A stream's events, oldest first."""
        ...

    def key(self, stream: UUID) -> bytes | None: ...

    def index(self, position: int) -> int:
        """The index of the leaf at a position, or the index that it would have."""
        ...

    def entries(self, level: int, first: int, count: int) -> Sequence[bytes]: ...


def make_bundle(
    source: BundleSource, notes: Notes, origin: str, decode: Decode, organization: str | None, user: str
) -> tuple[Bundle, Opened]:
    """The bundle of all events of a user up to the newest checkpoint.

    Raises `Contradiction` if the log isn't what was signed, and `ForeignCheckpoint` if the settings are those of another log.
    """
    stream = stream_id(organization, user)
    kept = source.last()
    if kept is None:
        raise Contradiction("nothing is signed yet")
    try:
        checkpoint = open_checkpoint(kept, f"the last checkpoint in {kept.place}", notes, origin)
        events = _proven(source, stream, checkpoint)
        bundle = Bundle(
            organization,
            user,
            source.key(stream) if _sealed(events) else None,
            kept.note,
            events,
            _proven(source, CATALOGUES, checkpoint),
        )
        # Open it as its reader will, so that a bundle that proves nothing is never given out.
        return bundle, open_bundle(bundle, notes, origin, decode)
    except (BadBundle, ValueError) as error:
        raise Contradiction(f"the log is not what was signed: {error}") from error


def _proven(source: BundleSource, stream: UUID, checkpoint: Checkpoint) -> list[Proven]:
    found = []
    for leaf in source.stream(stream):
        if leaf.position < 1:
            raise Contradiction(f"an event was added at position {leaf.position}, where none can be")
        if leaf.position <= checkpoint.position:
            index = source.index(leaf.position)
            found.append(Proven(index, leaf, inclusion_proof(index, checkpoint.size, source.entries)))
    return found


def _sealed(events: Sequence[Proven]) -> bool:
    """Whether the person's present key opens any event. The key from before an erasure is destroyed."""
    sealed = False
    for proven in events:
        sealed = proven.leaf.topic != PreferencesErased.TOPIC and (sealed or bool(proven.leaf.sealed_actor))
    return sealed
