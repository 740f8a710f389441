"""A small log with its tree and its checkpoints, and whoever has every right in its database."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typing_extensions import override

from application.evidence.checkpointing import Checkpointer
from application.evidence.differences import Fault
from application.evidence.verdict import Verdict
from application.evidence.verification import Verification
from application.evidence.verified import Verified
from domain.checkpoint import Checkpoint
from domain.leaf import POSITION
from domain.merkle import TILE, GrowingTree, leaf_hash
from domain.preferences import stream_id
from infrastructure.evidence.checkpoint_file import CheckpointFile
from infrastructure.evidence.log_evidence import PostgresEvidence
from infrastructure.evidence.log_tree import PostgresTree, PostgresTreeStore
from infrastructure.evidence.signed_note import NoteReader, NoteSigner
from infrastructure.log.event_codec import encode
from tests.support.events import opened, toggled

ORIGIN = "example.com/preferences"
KEY = b"k" * 32
"""Of everybody, and so that no two runs differ."""
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
INSERT = (
    "INSERT INTO preferences_events (notification_id, originator_id, originator_version, topic, state, sealed_actor) "
    "VALUES (%s, %s, %s, %s, %s, %s)"
)


def write_log(url: str, events: int, *, first: int = 1, gaps: int = 3, seed: int = 0) -> list[int]:
    """Append events of a few users, with gaps between their positions, as failed transactions leave them; the positions."""
    chance = random.Random(seed)
    rows, position = [], first - 1
    for number in range(events):
        position += chance.randint(1, gaps)
        user, version = divmod(number, 10)
        stream = stream_id(f"org_{seed}_{first}", f"user_{user}")
        event = opened(stream) if version == 0 else toggled(version + 1, "product_updates", bool(version % 2), stream)
        stored = encode(event, KEY if version % 3 else None)
        rows.append((position, *stored))
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            connection.cursor().executemany(INSERT, rows)
        connection.execute("SELECT setval('preferences_events_notification_id_seq', %s)", [position])
    return [row[0] for row in rows]


class OnOneConnection(PostgresEvidence):
    """The evidence as a transaction sees it that is not over: the log is read before anything else is asked."""

    @override
    def leaves(self, after: int, limit: int | None) -> Iterator[bytes]:
        return iter(list(super().leaves(after, limit)))


class Evidence:
    """The tree of a database, its keeper, and its auditor."""

    def __init__(self, url: str, folder: Path, *, origin: str = ORIGIN) -> None:
        self.signer = NoteSigner(origin, Ed25519PrivateKey.generate())
        self.reader = NoteReader(self.signer.verifier)
        self.file = CheckpointFile(folder / "checkpoints")
        self.path = folder / "checkpoints"
        self.origin = origin
        self.use(url)

    @property
    def settings(self) -> dict[str, str]:
        """Of a service that has the key."""
        pem = self.signer._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {"audit_signing_key": pem, "audit_origin": self.origin}

    def use(self, url: str) -> None:
        """From now on, another database with the same file and the same key."""
        self.url = url
        self.checkpointer = Checkpointer(
            PostgresTreeStore(url), self.file, self.signer, self.reader, self.origin, lambda: NOW
        )

    def checkpoint(self, limit: int = TILE * 512) -> list[Checkpoint]:
        """Up to the end of the log, with `limit` events between two checkpoints."""
        written, left = [], True
        while left:
            one, left = self.checkpointer.step(limit)
            written += [one] if one else []
        return written

    def verify(self, connection: psycopg.Connection[Any] | None = None) -> Verdict:
        """As a transaction sees it, or else as the database does."""
        with self.file.as_of_now() as notes:
            if connection is not None:
                return Verification(OnOneConnection(connection, connection, notes), self.reader, self.origin).run()
            with PostgresEvidence.open(self.url, notes) as stored:
                return Verification(stored, self.reader, self.origin).run()

    def verify_by_steps(self, connection: psycopg.Connection[Any]) -> list[Fault]:
        """The same by steps of one tile, between which nothing is kept but what can be written down. What its last step says."""
        so_far, more = Verified(), True
        while more:
            with self.file.as_of_now() as notes:
                stored = OnOneConnection(connection, connection, notes)
                faults, more = Verification(stored, self.reader, self.origin, so_far=so_far).step(TILE)
            so_far = Verified.read(json.loads(json.dumps(so_far.written())))
        return faults


@contextmanager
def attacking(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection on which anything can be done, and whatever is done is undone at the end."""
    with psycopg.connect(url) as connection:
        try:
            yield connection
        finally:
            connection.rollback()


def doctor(connection: psycopg.Connection[Any]) -> None:
    """Make the tree anew for the log as it now is, as its own keeper would."""
    stored = PostgresTree(connection)
    leaves = list(stored.leaves(1, 1 << 40))
    connection.execute("DELETE FROM log_tiles")
    tree = GrowingTree()
    for start in range(0, len(leaves), TILE):
        block = leaves[start : start + TILE]
        positions = b"".join(leaf[POSITION] for leaf in block)
        finished = tree.append([leaf_hash(leaf) for leaf in block])
        stored.write(finished or list(tree.unfinished()), positions, start // TILE)
    stored.write([tile for tile in tree.unfinished() if tile.level], b"", 0)
