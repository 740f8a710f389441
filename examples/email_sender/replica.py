"""Who chose what, in a SQLite file: written by one process, read by as many as like."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from examples.email_sender.handed_on import CATALOGUE_PUBLISHED, CONTINUED, ERASED, OPENED, TOGGLED, HandedOn

SCHEMA = Path(__file__).with_name("replica.sql")

# One statement sees one state of the file, whatever is being written.
FIND = """
SELECT place.current_at, catalogue.default_, catalogue.mandatory, choices.enabled
FROM place
LEFT JOIN catalogue ON catalogue.channel = :channel AND catalogue.toggle = :toggle
LEFT JOIN choices ON choices.key = :key AND choices.channel = :channel AND choices.toggle = :toggle
"""


class Unusable(Exception):
    """What was handed on can't be applied, so that from here on the replica would be wrong. One sentence on why."""


class BeginAnew(Exception):
    """The replica has events that the log has lost. It was emptied, and is filled anew from the beginning, without them."""


class Place(NamedTuple):
    """How far the replica is in the log, and in the stream. 0 is before the beginning."""

    position: int
    sequence: int


class Found(NamedTuple):
    """What there is to decide from. `default` and `mandatory` are None for a toggle that isn't in the catalogue,
    `choice` where nothing was chosen. `current_at`: seconds since 1970."""

    current_at: float
    default: bool | None
    mandatory: bool | None
    choice: bool | None


class Replica:
    def __init__(self, kept: sqlite3.Connection) -> None:
        self._kept = kept

    @classmethod
    def write(cls, file: Path) -> Self:
        """For the one process that keeps it; made if it isn't there."""
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = sqlite3.connect(file, isolation_level=None, timeout=10)
        # Readers go on reading while we write. A commit that a power cut takes with it comes again from the stream.
        kept.execute("PRAGMA journal_mode = WAL")
        kept.execute("PRAGMA synchronous = NORMAL")
        # What is deleted is overwritten: a name that was forgotten isn't left behind in the file.
        kept.execute("PRAGMA secure_delete = ON")
        kept.executescript(SCHEMA.read_text())
        replica = cls(kept)
        replica.empty_journal()
        return replica

    @classmethod
    def read(cls, file: Path) -> Self:
        """Open it only to decide. Raises `sqlite3.Error` if there is none."""
        return cls(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None, timeout=10))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def place(self) -> Place:
        return Place(*self._kept.execute("SELECT position, sequence FROM place").fetchone())

    def find(self, key: str, channel: str, toggle: str) -> Found:
        row = self._kept.execute(FIND, {"key": key, "channel": channel, "toggle": toggle}).fetchone()
        return Found(row[0], *(None if value is None else bool(value) for value in row[1:]))

    def toggles(self) -> list[tuple[str, str]]:
        """The channel and the name of every toggle of the catalogue."""
        return self._kept.execute("SELECT channel, toggle FROM catalogue ORDER BY 1, 2").fetchall()

    def apply(self, events: Iterable[HandedOn]) -> int:
        """Take these in, together with how far the replica is then, or nothing of it. How many of them were new.

        Raises `Unusable`, and `BeginAnew`.
        """
        new = erased = 0
        taken_back = False
        with self._transaction():
            position, sequence = self.place()
            for event in events:
                sequence = event.sequence
                # The log's order never changes: what isn't behind our position is delivered again, and is in here.
                if event.position > position:
                    if event.type == CONTINUED and self._takes_back(event, position):
                        taken_back = True
                        position = sequence = 0
                        break
                    if not self._is_lost(event.position):
                        self._apply(event)
                    position = event.position
                    new += 1
                    erased += event.type == ERASED
            self._kept.execute("UPDATE place SET position = ?, sequence = ?", (position, sequence))
        if erased or taken_back:
            self.empty_journal()
        if taken_back:
            raise BeginAnew
        return new

    def was_current(self, at: float) -> None:
        """Note that what had happened by then is in here."""
        self._kept.execute("UPDATE place SET current_at = ?", (at,))

    def empty_journal(self) -> None:
        """Also the write-ahead log has what was deleted, until it is emptied. A reader in its way only delays that."""
        self._kept.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _takes_back(self, event: HandedOn, position: int) -> bool:
        """Whether something in here is lost, of which it wasn't known. What was folded can't be taken back one by one."""
        lost = self._kept.execute(
            "INSERT OR IGNORE INTO lost VALUES (?, ?)", (event.data["previous_end"], event.position)
        ).rowcount
        if not lost or position <= event.data["previous_end"]:
            return False
        for table in ("streams", "choices", "names", "catalogue"):
            self._kept.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        self._kept.execute("UPDATE place SET current_at = 0")
        return True

    def _is_lost(self, position: int) -> bool:
        found = self._kept.execute("SELECT 1 FROM lost WHERE previous_end < ? AND ? < position", (position, position))
        return found.fetchone() is not None

    def _apply(self, event: HandedOn) -> None:
        self._count(event)
        if event.type == CONTINUED:
            return
        if event.type == CATALOGUE_PUBLISHED:
            self._replace_catalogue(event)
            return
        if event.type == ERASED:
            self._kept.execute("DELETE FROM names WHERE key = ?", (event.key,))
            return
        if event.type not in (OPENED, TOGGLED):
            raise Unusable(f"position {event.position} has the type {event.type}, which this sender doesn't know")
        if event.subject is not None:
            named = (event.key, event.data["organization"], event.subject)
            self._kept.execute("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", named)
        if event.type == TOGGLED:
            chosen = (event.key, event.data["channel"], event.data["toggle"], event.data["enabled"])
            self._kept.execute("INSERT OR REPLACE INTO choices VALUES (?, ?, ?, ?)", chosen)

    def _count(self, event: HandedOn) -> None:
        row = self._kept.execute("SELECT version FROM streams WHERE key = ?", (event.key,)).fetchone()
        due, version = (row[0] if row else 0) + 1, event.data["version"]
        # A release that is skipped never publishes its catalogue. All other streams are without gaps.
        if version < due or (version > due and event.type != CATALOGUE_PUBLISHED):
            raise Unusable(f"position {event.position} is version {version} of {event.key}, where {due} is due")
        self._kept.execute("INSERT OR REPLACE INTO streams VALUES (?, ?)", (event.key, version))

    def _replace_catalogue(self, event: HandedOn) -> None:
        self._kept.execute("DELETE FROM catalogue")
        self._kept.executemany(
            "INSERT INTO catalogue VALUES (?, ?, ?, ?)",
            [
                (channel["name"], toggle["name"], toggle["default"], toggle["mandatory"])
                for channel in event.data["channels"]
                for toggle in channel["toggles"]
            ],
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._kept.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._kept.execute("ROLLBACK")
            raise
        self._kept.execute("COMMIT")
