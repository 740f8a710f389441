"""Checkpoints of the log, and what holds the log to them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Protocol

import psycopg
import structlog

from application.evidence.bundle import Bundle, Opened, open_bundle
from application.evidence.bundling import make_bundle
from application.evidence.checkpointing import Checkpointer
from application.evidence.checkpoints import Contradiction, SignedEventsLost
from application.evidence.foreign_checkpoint import ForeignCheckpoint
from application.evidence.verification import Verdict, Verification
from domain.checkpoint import Checkpoint
from domain.errors import Unavailable
from infrastructure.evidence import signing_key as audit_key
from infrastructure.evidence.bundle_source import PostgresBundleSource
from infrastructure.evidence.checkpoint_file import CheckpointFile
from infrastructure.evidence.log_evidence import PostgresEvidence
from infrastructure.evidence.log_tree import PostgresTree, PostgresTreeStore, reading
from infrastructure.evidence.signed_note import NoteReader, NoteSigner, VerifierKey
from infrastructure.log.event_codec import decode_strictly
from infrastructure.postgres.database_clock import DatabaseClock
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.settings import Settings, SettingsError

log = structlog.get_logger("checkpoints")

_CLOCK_SESSION: Final = Session(application="preferences checkpoint", connect_within=5, answer_within=10)


class Progress(Protocol):
    def __call__(self, done: int, about: int, /) -> None: ...


def public_key(of: Settings) -> str:
    """The key that checkpoints are verified with, in the form that verifiers share."""
    return str(_signer(of).verifier)


def checkpoint(of: Settings, url: str, done: Callable[[Checkpoint], None] = lambda _: None) -> Checkpoint | None:
    """Bring the tree to the end of the log and sign it. The last checkpoint that was written; None if nothing was new."""
    clock = DatabaseClock()
    checkpointer, last = _checkpointer(of, url, clock), None
    _measure(clock, url)
    left = True
    while left:
        written, left = checkpointer.step()
        if written is not None:
            last = written
            done(written)
    return last


async def checkpoint_regularly(of: Settings, url: str, stop: asyncio.Event) -> None:
    """Every `checkpoint_interval` seconds, until `stop` is set. In a thread: the event loop is for others."""
    if of.checkpoint_interval == 0:
        return
    clock = DatabaseClock()
    checkpointer = _checkpointer(of, url, clock)
    while not stop.is_set():
        try:
            await asyncio.to_thread(_measure, clock, url)
            left = True
            while left and not stop.is_set():
                written, left = await asyncio.to_thread(checkpointer.step)
                if written is not None:
                    log.info("checkpoint", size=written.size, position=written.position)
        except ForeignCheckpoint as error:
            log.error("the settings don't fit the checkpoints: nothing is signed", finding=str(error))  # noqa: TRY400 - the sentence says it all
        except SignedEventsLost as error:
            log.critical("signed events were lost: nothing is signed any more", finding=str(error))
        except Contradiction as error:
            log.critical("the log was altered: nothing is signed any more", finding=str(error))
        except (psycopg.Error, Unavailable, OSError) as error:
            log.warning("no checkpoint could be written", reason=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(of.checkpoint_interval):
                await stop.wait()


def checkpoint_fault(of: Settings, url: str) -> str | None:
    """What keeps `follow` from signing the log, found without signing it or making a key; None if nothing does."""
    file = CheckpointFile(of.published_checkpoints)
    if fault := file.fault():
        return fault
    with reading(url) as connection:
        kept = [note for note in (PostgresTree(connection).last(), file.last()) if note is not None]
    if of.audit_signing_key is None and not audit_key.path(of.data_dir).exists():
        return "the log was signed, and there is no key here: set AUDIT_SIGNING_KEY" if kept else None
    notes = NoteReader(_signer(of).verifier, *_former(of))
    for note in kept:
        try:
            origin = Checkpoint.parse(notes.open(note.note)).origin
        except ValueError as error:
            return (
                f"the last checkpoint in {note.place} is {error}: AUDIT_SIGNING_KEY and AUDIT_ORIGIN must be those of this "
                "log, or AUDIT_FORMER_KEYS name the key from before"
            )
        if origin != of.audit_origin:
            return f"the last checkpoint in {note.place} is one of {origin}: AUDIT_ORIGIN must be the name of this log"
    return None


def verify(of: Settings, url: str, keys: Sequence[str], file: Path | None, progress: Progress) -> Verdict:
    """Hold the log to its checkpoints: those in the database, and those in `file`, by default in our own.

    `keys` are those to trust instead of our own. Raises `SettingsError` for one that is none.
    """
    try:
        trusted = [VerifierKey.parse(key) for key in keys]
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if not trusted:
        if of.audit_signing_key is None and not audit_key.path(of.data_dir).exists():
            raise SettingsError("there is no key here to verify with: name one with --key")
        trusted = [_signer(of).verifier, *_former(of)]
    published = CheckpointFile(file or of.published_checkpoints)
    with ExitStack() as stack:
        # Opened before the database is looked at: it then holds nothing that the database could not know yet.
        notes = stack.enter_context(published.as_of_now(required=file is not None))
        stored = stack.enter_context(PostgresEvidence.open(url, notes))
        about = stored.about()
        verification = Verification(
            stored, NoteReader(*trusted), trusted[0].name, lambda done: progress(done, max(done, about))
        )
        return verification.run()


def bundle(of: Settings, url: str, organization: str | None, user: str) -> tuple[bytes, Opened]:
    """The evidence about a user, up to now: it begins with a checkpoint. Raises `Contradiction` or `ForeignCheckpoint`."""
    checkpoint(of, url)
    signer = _signer(of)
    notes = NoteReader(signer.verifier, *_former(of))
    with PostgresBundleSource.open(url) as source:
        made, opened = make_bundle(source, notes, of.audit_origin, decode_strictly, organization, user)
    return made.render(), opened


def verify_bundle(data: bytes, key: str) -> tuple[Bundle, Opened]:
    """Needs nothing but the key: no settings, no database, no network. Raises `BadBundle`, `SettingsError` for the key."""
    try:
        verifier = VerifierKey.parse(key)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    parsed = Bundle.parse(data)
    return parsed, open_bundle(parsed, NoteReader(verifier), verifier.name, decode_strictly)


def note_reader(of: Settings) -> NoteReader | None:
    """What opens our checkpoints; None where no checkpoint is written here and there is no key. None is made for it."""
    if of.checkpoint_interval == 0 and of.audit_signing_key is None and not audit_key.path(of.data_dir).exists():
        return None
    return NoteReader(_signer(of).verifier, *_former(of))


def _measure(clock: DatabaseClock, url: str) -> None:
    with connect_blocking(url, _CLOCK_SESSION) as connection:
        clock.measure_blocking(connection)


def _checkpointer(of: Settings, url: str, clock: DatabaseClock) -> Checkpointer:
    signer = _signer(of)
    return Checkpointer(
        PostgresTreeStore(url),
        CheckpointFile(of.published_checkpoints),
        signer,
        NoteReader(signer.verifier, *_former(of)),
        of.audit_origin,
        clock,
    )


def _signer(of: Settings) -> NoteSigner:
    try:
        if of.audit_signing_key is not None:
            return NoteSigner(of.audit_origin, audit_key.parse(of.audit_signing_key))
        return NoteSigner(of.audit_origin, audit_key.of_data_dir(of.data_dir))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _former(of: Settings) -> list[VerifierKey]:
    return [VerifierKey.parse(key) for key in of.audit_former_keys]
