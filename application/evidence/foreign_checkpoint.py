"""Recognises a checkpoint of another log or another key. That is a mistake in the settings, not an altered log."""

from collections.abc import Sequence

from application.evidence.checkpoints import Contradiction, KeptNote, Notes, UnknownKey
from domain.checkpoint import Checkpoint


class ForeignCheckpoint(Exception):
    """A kept checkpoint names another log or another key than the settings do. The message says which setting is meant."""

    def __init__(self, which: str, difference: str) -> None:
        super().__init__(f"{which} {difference}")
        self.difference = difference


def open_checkpoint(kept: KeptNote, which: str, notes: Notes, origin: str) -> Checkpoint:
    """The checkpoint in a kept note. `which` names the note in error sentences.

    Raises `ForeignCheckpoint` for a well-formed note that is of another log, or signed only with keys that the settings don't
    name. Raises `ValueError`, with a phrase, for anything else that isn't a checkpoint of ours. One such case is a note that
    names one of our keys but isn't signed by that key.
    """
    try:
        text = notes.open(kept.note)
    except UnknownKey as error:
        foreign = Checkpoint.parse(error.text)
        raise ForeignCheckpoint(which, _difference(foreign, error.signers, notes.known, origin)) from error
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin != origin:
        raise ForeignCheckpoint(which, _difference(checkpoint, (), notes.known, origin))
    return checkpoint


def open_last(kept: Sequence[KeptNote], inside: str, notes: Notes, origin: str) -> list[Checkpoint]:
    """The last checkpoint of each place. Raises `ForeignCheckpoint`, or `Contradiction` for a note that isn't a checkpoint of ours.

    `inside` is the place that the database's superuser can write to. If another place has a checkpoint of ours, wrong settings
    alone can't explain a foreign checkpoint inside, so it is a contradiction.
    """
    opened: list[Checkpoint] = []
    foreign: list[tuple[str, ForeignCheckpoint]] = []
    for one in kept:
        which = f"the last checkpoint in {one.place}"
        try:
            opened.append(open_checkpoint(one, which, notes, origin))
        except ForeignCheckpoint as error:
            foreign.append((one.place, error))
        except ValueError as error:
            raise Contradiction(f"{which} is {error}") from error
    for place, misfit in foreign:
        if place == inside and opened:
            raise Contradiction(
                f"{misfit}. The last checkpoint outside of the database is one of ours: either the database's was exchanged, "
                "or DATABASE_URL and CHECKPOINT_FILE are of two logs"
            ) from misfit
        raise misfit
    return opened


def _difference(checkpoint: Checkpoint, signers: Sequence[str], known: Sequence[str], origin: str) -> str:
    if checkpoint.origin != origin:
        return f"is one of {checkpoint.origin}, and AUDIT_ORIGIN, or the name of the key, is {origin}"
    return (
        f"was signed with {' and '.join(signers)}, and the keys that are known here are {', '.join(known)}: set AUDIT_SIGNING_KEY "
        "to the key that signs this log on other machines, or name the former one in AUDIT_FORMER_KEYS"
    )
