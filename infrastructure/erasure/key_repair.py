"""Repairs the persons' keys: each stream gets the key that opens it, and no erasure is undone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import psycopg

from application.preferences.remembered import SERVES
from application.progress import Progress
from infrastructure.erasure import person_keys
from infrastructure.erasure.person_keys import QUERIES, Fit, KeyedStream, fit, opened, opens
from infrastructure.log import log_table
from infrastructure.postgres.connection import BlockingConnection
from infrastructure.postgres.session import Session, connect_blocking

_SESSION: Final = Session(application="preferences person-keys", connect_within=5)

PAIRS: Final = 2_000_000
"""The most trials of keys on streams other than their own: some ten seconds of work."""

REMEMBERED: Final = SERVES + 1
"""Seconds. The longest time for which a server process may go on to seal under a key that it read before."""


@dataclass(slots=True)
class Repaired:
    """Streams by what was done. `unreadable`: actors that no key opens. `reaching`: keys that also open erased actors.

    `untried`: there were too many keys and streams to try each key on each stream, so only each stream's own were tried.
    """

    keys_set: list[UUID] = field(default_factory=list)
    versions_set: list[UUID] = field(default_factory=list)
    destroyed: list[UUID] = field(default_factory=list)
    missing: int = 0
    unreadable: dict[UUID, list[int]] = field(default_factory=dict)
    reaching: list[UUID] = field(default_factory=list)
    untried: bool = False


class KeyRepair:
    """`copy` has the keys of an older or newer copy of the table, by stream. `give_up`: an actor that no key opens reads as erased from
    now on. Each stream is repaired in a transaction of its own, during which nothing can be appended.
    """

    def __init__(self, url: str, copy: Mapping[UUID, bytes], *, give_up: bool = False) -> None:
        self._url = url
        self._copy = copy
        self._give_up = give_up
        self._repaired = Repaired()

    def run(self, progress: Progress = lambda _, __: None) -> Repaired:
        with connect_blocking(self._url, _SESSION) as connection:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            with connection.transaction():
                about = log_table.about(connection)
                found = [
                    (one.stream, one.key, kind)
                    for one in person_keys.streams(connection, lambda done: progress(done, max(done, about)))
                    if not (kind := fit(one)).good
                ]
            strangers = self._strangers([key for _, key, _ in found if key is not None], len(found))
            changed = [stream for stream, _, _ in found if self._set_right(connection, stream, strangers)]
            if changed:
                # This code can't make a server process forget a key that it remembers, so it waits.
                time.sleep(REMEMBERED)
                for stream in changed:
                    with connection.transaction():
                        self._note_unreadable(person_keys.stream(connection, stream))
        return self._repaired

    def _strangers(self, kept: list[bytes], streams: int) -> list[bytes]:
        """Keys that may belong to any of the streams: those that don't fit their own stream, and those of the copy."""
        strangers = list(dict.fromkeys([*kept, *self._copy.values()]))
        if len(strangers) * streams > PAIRS:
            self._repaired.untried = True
            return []
        return strangers

    def _set_right(self, connection: BlockingConnection, stream: UUID, strangers: list[bytes]) -> bool:
        """Returns whether the stream has another key now."""
        with connection.transaction():
            # The candidates are found before the lock is taken, because appends wait while it is held.
            likely = self._likely(person_keys.stream(connection, stream), strangers)
        with connection.transaction():
            # In the order in which an erasure takes both locks.
            connection.execute(QUERIES["key"], [stream])
            log_table.hold_appends(connection)
            of = person_keys.stream(connection, stream)
            found = fit(of)
            key = self._best(of, likely)
            if found.good or (found is Fit.LOST and key == of.key):
                self._repaired.missing += found.lost
                return False
            since = of.after[0].version if of.after else 0
            if key is not None and self._give_up:
                closed = [actor.version for actor in of.after if not opens(key, actor)]
                since = closed[-1] + 1 if closed else since
            if key is None:
                if of.key is not None and (not of.after or self._give_up or opened(of.key, of.before)):
                    connection.execute(QUERIES["destroy"], [stream])
                    self._repaired.destroyed.append(stream)
            else:
                connection.execute(QUERIES["keep"], [stream, since, key])
                if key != of.key:
                    self._repaired.keys_set.append(stream)
                elif since != of.since_version:
                    self._repaired.versions_set.append(stream)
                if opened(key, of.before):
                    self._repaired.reaching.append(stream)
        with connection.transaction():
            self._note_unreadable(person_keys.stream(connection, stream))
        return key is not None and key != of.key

    def _likely(self, of: KeyedStream, strangers: list[bytes]) -> list[bytes]:
        ends = [*of.after[:1], *of.after[-1:]]
        own = [key for key in (of.key, self._copy.get(of.stream)) if key is not None]
        return own + [key for key in strangers if any(opens(key, actor) for actor in ends)]

    def _best(self, of: KeyedStream, keys: list[bytes]) -> bytes | None:
        """The key that opens the most actors since the last erasure; of equals, the one that opens the newest. None if none opens any."""
        scores = {key: (opened(key, of.after), opened(key, of.after[-1:])) for key in keys}
        best = max(scores, key=lambda key: scores[key], default=None)
        return best if best is not None and scores[best][0] else None

    def _note_unreadable(self, of: KeyedStream) -> None:
        since, key = of.since_version, of.key
        if key is None or since is None:
            self._repaired.missing += bool(of.after)
            return
        unreadable = [actor.version for actor in of.after if actor.version >= since and not opens(key, actor)]
        if unreadable:
            self._repaired.unreadable[of.stream] = unreadable
