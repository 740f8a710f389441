"""The log, held against its tree and its checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from typing_extensions import override

from application.evidence.checkpoints import Notes
from application.evidence.differences import Kind
from application.evidence.sweep import StepResult, of_fault
from application.evidence.verification import Verification
from application.evidence.verified import Verified
from infrastructure.evidence.checkpoint_file import CheckpointFile, FileAsOfNow
from infrastructure.evidence.log_evidence import PostgresEvidence
from infrastructure.evidence.sweep.leg import Connection, Leg, Look, State


class LogLeg(Leg):
    """`notes` opens checkpoints; without it, there is no key here to verify them with, and the log is held to its tree alone."""

    name: Final = "log"
    at_once: Final = 65_536

    def __init__(self, file: CheckpointFile, notes: Notes | None, origin: str) -> None:
        self._file = file
        self._notes = notes
        self._origin = origin

    @override
    def hold(self, connection: Connection) -> None:
        """Nothing of it is ever replaced."""

    @override
    @contextmanager
    def ready(self) -> Iterator[Look]:
        # Opened before the moment that is looked at: it then holds nothing that the database could not know yet.
        with self._file.as_of_now(torn=False) as published:

            def look(connection: Connection, state: State, limit: int) -> StepResult:
                connection.execute("SET LOCAL enable_sort = off")
                so_far = Verified() if state is None else Verified.read(state)
                before = so_far.tree.size
                stored = StepEvidence(connection, published, signed=self._notes is not None)
                verification = Verification(
                    stored, self._notes or NoNotes(), self._origin, so_far=so_far, unsigned=True
                )
                faults, more = verification.step(limit)
                written = so_far.written() if more else None
                # A mistake in the settings of this machine is none of the log's: who writes checkpoints says so.
                findings = [of_fault(fault) for fault in faults if fault.kind is not Kind.SETTINGS]
                return StepResult(written, so_far.tree.size - before, findings)

            yield look


class StepEvidence(PostgresEvidence):
    """On one connection, so the leaves of a step are read before anything else is asked for.

    Where not `signed`, there is no way to tell which checkpoints are ours, so there are none.
    """

    def __init__(self, connection: Connection, published: FileAsOfNow | None, *, signed: bool) -> None:
        super().__init__(connection, connection, published)
        self._signed = signed

    @override
    def places(self) -> Sequence[str]:
        return super().places() if self._signed else ()

    @override
    def leaves(self, after: int, limit: int | None) -> Iterator[bytes]:
        return iter(list(super().leaves(after, limit)))


class NoNotes(Notes):
    known: Sequence[str] = ()

    @override
    def open(self, note: str) -> str:
        raise ValueError("there is no key to verify it with")
