"""Checks that persons' keys open the actors that were sealed under them, and no erased ones."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import orjson

from infrastructure.log.sealing import unseal
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.sql import queries

QUERIES: Final[dict[str, LiteralString]] = queries("person_keys")

_AT_ONCE: Final = 2_000
"""Rows fetched at once: about a megabyte."""

_REPORT_EVERY: Final = 10_000
"""Events between two reports of progress."""


class SealedActor(NamedTuple):
    """The actor of an event, as it is stored."""

    version: int
    event_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class KeyedStream:
    """A stream with its stored key. `key` and `since_version` are None if there is none.

    `erased` is the version of its last erasure, or 0. `before` and `after` are its sealed actors before and after that.
    """

    stream: UUID
    key: bytes | None
    since_version: int | None
    erased: int
    before: list[SealedActor]
    after: list[SealedActor]


class Fit(Enum):
    """How a key fits its stream. The values complete a sentence that begins with the stream."""

    FITS = "has a key that opens every actor since the last erasure"
    NOTHING_SEALED = "has no key, and nothing that one could open"
    MISSING = "has no key, and no erasure says why"
    LOST = "has a newer key, and the one of its first actors is gone, and no erasure says why"
    NONE = "has a key that opens no actor since the last erasure"
    SOME = "has a key that opens only some of the actors since the last erasure"
    SINCE = "has the right key, with a wrong since_version"
    ERASED = "has a key, and nothing was sealed since it was erased"
    UNUSED = "has a key, and no event that was sealed"

    @property
    def good(self) -> bool:
        return self in {Fit.FITS, Fit.NOTHING_SEALED}

    @property
    def lost(self) -> bool:
        """Whether a key is missing and none is wrong. The actors then read as erased, as in a database restored without its keys."""
        return self in {Fit.MISSING, Fit.LOST}

    @property
    def has_key(self) -> bool:
        return self not in {Fit.NOTHING_SEALED, Fit.MISSING}


def opens(key: bytes, actor: SealedActor) -> bool:
    try:
        unseal(actor.sealed, key, actor.event_id)
    except ValueError:  # `Unsealable`, or an event that no longer has an id
        return False
    return True


def opened(key: bytes, actors: Iterable[SealedActor]) -> int:
    """How many of the actors the key opens."""
    return sum(opens(key, actor) for actor in actors)


def fit(of: KeyedStream) -> Fit:
    """How the key of a stream fits. Every actor since the last erasure is tried."""
    if of.key is None or of.since_version is None:
        return Fit.MISSING if of.after else Fit.NOTHING_SEALED
    if not of.after:
        return Fit.ERASED if of.erased else Fit.UNUSED
    told = [actor for actor in of.after if actor.version >= of.since_version]
    untold = opened(of.key, of.after[: len(of.after) - len(told)])
    count = opened(of.key, told)
    if not count + untold:
        return Fit.NONE
    if count < len(told):
        return Fit.SOME
    # Any version after the last erased actor is right, because nothing in between is sealed.
    if untold or any(actor.version >= of.since_version for actor in of.before):
        return Fit.SINCE
    return Fit.FITS if len(told) == len(of.after) else Fit.LOST


def streams(connection: BlockingConnection, progress: Callable[[int], None] = lambda _: None) -> Iterator[KeyedStream]:
    """Every stream with a sealed event or an erasure, and every other stream that has a key.

    Runs within one transaction, with memory for the longest stream. `progress` is called with the number of events seen.
    """
    connection.execute("SET LOCAL enable_sort = off")
    with connection.cursor("sealed", binary=True) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(QUERIES["sealed"].rstrip(";"))
        for _, rows in groupby(_counted(cursor, progress), key=lambda row: row[0]):
            yield _keyed_stream(list(rows))
    with connection.cursor("without_events", binary=True) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(QUERIES["without_events"].rstrip(";"))
        for stream, key, since_version in cursor:
            yield KeyedStream(stream, key, since_version, 0, [], [])


def stream(connection: BlockingConnection, stream: UUID) -> KeyedStream:
    """One stream in its current state."""
    rows = connection.cursor(binary=True).execute(QUERIES["sealed_of_stream"], [stream]).fetchall()
    if rows:
        return _keyed_stream(rows)
    kept = connection.cursor(binary=True).execute(QUERIES["key"], [stream]).fetchone()
    key, since_version = kept or (None, None)
    return KeyedStream(stream, key, since_version, 0, [], [])


def _counted(rows: Iterable[Any], progress: Callable[[int], None]) -> Iterator[Any]:
    count = 0
    for count, row in enumerate(rows, 1):
        if count % _REPORT_EVERY == 0:
            progress(count)
        yield row
    progress(count)


def _keyed_stream(rows: list[Any]) -> KeyedStream:
    erased = max((version for _, _, _, version, erasure, _, _ in rows if erasure), default=0)
    before: list[SealedActor] = []
    after: list[SealedActor] = []
    for _, _, _, version, _, sealed, state in rows:
        if sealed:
            actor = SealedActor(version, _event_id(state), sealed)
            (after if version > erased else before).append(actor)
    stream, key, since_version, *_ = rows[0]
    return KeyedStream(stream, key, since_version, erased, before, after)


def _event_id(state: bytes) -> str:
    """Empty if the event itself can't be read. No key repairs that; `audit verify` says whether the event was altered."""
    try:
        found = orjson.loads(state)["event_id"]
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
