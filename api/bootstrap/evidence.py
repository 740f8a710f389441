"""Wires the checkpoints of the log, and the verification of the log against them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
import structlog

from api.bootstrap.replication import replicated
from api.bootstrap.standby import caught_up
from application.evidence.bundle import Bundle, Opened, open_bundle
from application.evidence.bundling import make_bundle
from application.evidence.checkpointing import Checkpointer
from application.evidence.checkpoints import Contradiction, SignedEventsLost
from application.evidence.foreign_checkpoint import ForeignCheckpoint
from application.evidence.verdict import Verdict
from application.evidence.verification import Verification
from application.progress import Progress
from domain.checkpoint import Checkpoint
from domain.errors import Unavailable
from infrastructure.evidence import signing_key as audit_key
from infrastructure.evidence.bundle_source import PostgresBundleSource
from infrastructure.evidence.checkpoint_file import CheckpointFile
from infrastructure.evidence.log_evidence import PostgresEvidence
from infrastructure.evidence.log_tree import PostgresTree, PostgresTreeStore, reading
from infrastructure.evidence.signed_note import NoteReader, NoteSigner, VerifierKey
from infrastructure.evidence.user_evidence import PostgresUserEvidence
from infrastructure.log.event_codec import decode_strictly
from infrastructure.postgres.database_clock import DatabaseClock
from infrastructure.postgres.session import Session, connect_blocking
from infrastructure.settings import Settings, SettingsError

log = structlog.get_logger("checkpoints")

_CLOCK_SESSION: Final = Session(application="preferences checkpoint", connect_within=5, answer_within=10)


def public_key(settings: Settings) -> str:
    """The public key for verifying checkpoints, in the usual form for verifiers."""
    return str(_signer(settings).verifier)


def checkpoint(settings: Settings, url: str) -> Checkpoint | None:
    """Extend the tree to the end of the log and sign it. Returns the last checkpoint written; None if there were no new events."""
    clock = DatabaseClock()
    checkpointer, last = _checkpointer(settings, url, clock), None
    _measure(clock, url)
    left = True
    while left:
        written, left = checkpointer.step()
        if written is not None:
            last = written
    return last


def checkpoint_as_of(settings: Settings, url: str, at: datetime) -> None:
    """The same for a made-up past: the checkpoint says that it was signed at that instant."""
    left = True
    while left:
        _, left = _checkpointer(settings, url, lambda: at).step()


async def checkpoint_regularly(settings: Settings, url: str, stop: asyncio.Event) -> None:
    """Write a checkpoint every `checkpoint_interval` seconds until `stop` is set. It works in a thread, to keep the event loop free."""
    if settings.checkpoint_interval == 0:
        return
    clock = DatabaseClock()
    checkpointer = _checkpointer(settings, url, clock)
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
            async with asyncio.timeout(settings.checkpoint_interval):
                await stop.wait()


def checkpoint_fault(settings: Settings, url: str) -> str | None:
    """The reason why `follow` can't sign the log; None if it can. This signs nothing and makes no key."""
    file = CheckpointFile(settings.published_checkpoints)
    if fault := file.fault():
        return fault
    stored = None
    # Before the first migration there are no tables, and the file can hold a checkpoint of this log all the same.
    with suppress(psycopg.errors.UndefinedTable), reading(url) as connection:
        stored = PostgresTree(connection).last()
    kept = [note for note in (stored, file.last()) if note is not None]
    if not _has_key(settings):
        return "the log was signed, and there is no key here: set AUDIT_SIGNING_KEY" if kept else None
    notes = NoteReader(*_verifiers(settings))
    for note in kept:
        try:
            origin = Checkpoint.parse(notes.open(note.note)).origin
        except ValueError as error:
            return (
                f"the last checkpoint in {note.place} is {error}: AUDIT_SIGNING_KEY and AUDIT_ORIGIN must be those of this "
                "log, or AUDIT_FORMER_KEYS name the key from before"
            )
        if origin != settings.audit_origin:
            return f"the last checkpoint in {note.place} is one of {origin}: AUDIT_ORIGIN must be the name of this log"
    return None


def verify(settings: Settings, url: str, keys: Sequence[str], file: Path | None, progress: Progress) -> Verdict:
    """Verify the log against its checkpoints: those in the database and those in `file`, by default the file of the settings.

    `keys` are trusted instead of our own. Raises `SettingsError` for an invalid key.
    """
    trusted = [_parsed(key) for key in keys]
    if not trusted:
        if not _has_key(settings):
            raise SettingsError("there is no key here to verify with: name one with --key")
        trusted = _verifiers(settings)
    published = CheckpointFile(file or settings.published_checkpoints)
    with ExitStack() as stack:
        # Open the file before the database is read. Then it has no checkpoint that is newer than the state of the database. A standby has
        # that state only if it has all that the primary has after the file was opened.
        notes = stack.enter_context(published.as_of_now(required=file is not None))
        stored = stack.enter_context(PostgresEvidence.open(caught_up(settings, url) or url, notes))
        about = stored.about()
        verification = Verification(
            stored, NoteReader(*trusted), trusted[0].name, lambda done: progress(done, max(done, about))
        )
        return verification.run()


def bundle(settings: Settings, url: str, organization: str | None, user: str) -> tuple[bytes, Opened]:
    """The bundle of a user, up to now. First it writes a checkpoint. Raises `Contradiction` or `ForeignCheckpoint`."""
    checkpoint(settings, url)
    notes = NoteReader(*_verifiers(settings))
    with PostgresBundleSource.open(url) as source:
        made, opened = make_bundle(source, notes, settings.audit_origin, decode_strictly, organization, user)
    return made.render(), opened


def verify_bundle(data: bytes, key: str) -> tuple[Bundle, Opened]:
    """Verify a bundle. It needs only the key: no settings, no database, no network. Raises `BadBundle`, or `SettingsError` for an
    invalid key."""
    verifier = _parsed(key)
    parsed = Bundle.parse(data)
    return parsed, open_bundle(parsed, NoteReader(verifier), verifier.name, decode_strictly)


def note_reader(settings: Settings) -> NoteReader | None:
    """The reader of our checkpoints; None if this process writes no checkpoints and has no key. It doesn't make a key in that case."""
    if settings.checkpoint_interval == 0 and not _has_key(settings):
        return None
    return NoteReader(*_verifiers(settings))


def user_evidence(settings: Settings, url: str) -> PostgresUserEvidence:
    """The evidence that readers get over HTTP."""
    return PostgresUserEvidence(url, settings.audit_origin, lambda: _public_keys(settings))


def _public_keys(settings: Settings) -> list[VerifierKey]:
    """The public keys that are known here. This doesn't make a key, unlike `_signer`."""
    return _verifiers(settings) if _has_key(settings) else _former(settings)


def _has_key(settings: Settings) -> bool:
    return settings.audit_signing_key is not None or audit_key.path(settings.data_dir).exists()


def _measure(clock: DatabaseClock, url: str) -> None:
    with connect_blocking(url, _CLOCK_SESSION) as connection:
        clock.measure_blocking(connection)


def _checkpointer(settings: Settings, url: str, clock: Callable[[], datetime]) -> Checkpointer:
    signer = _signer(settings)
    return Checkpointer(
        PostgresTreeStore(url, replicated=replicated(settings)),
        CheckpointFile(settings.published_checkpoints),
        signer,
        NoteReader(signer.verifier, *_former(settings)),
        settings.audit_origin,
        clock,
    )


def _signer(settings: Settings) -> NoteSigner:
    try:
        if settings.audit_signing_key is not None:
            return NoteSigner(settings.audit_origin, audit_key.parse(settings.audit_signing_key))
        return NoteSigner(settings.audit_origin, audit_key.of_data_dir(settings.data_dir))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _verifiers(settings: Settings) -> list[VerifierKey]:
    """Our own public key and the former ones."""
    return [_signer(settings).verifier, *_former(settings)]


def _former(settings: Settings) -> list[VerifierKey]:
    return [VerifierKey.parse(key) for key in settings.audit_former_keys]


def _parsed(key: str) -> VerifierKey:
    try:
        return VerifierKey.parse(key)
    except ValueError as error:
        raise SettingsError(str(error)) from None
