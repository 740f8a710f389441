"""Checks one stream: its row in the current preferences and its key must fit its events."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from application.evidence.sweep import Finding, Subject


class StreamFacts(NamedTuple):
    """The stored facts about a stream. A version is None if there is no such event, row or key.

    `since` and `version` are the first and the last version in the log, and `events` is the number of events. `differs`: the row
    isn't the one that the events make. `live_version` is the version of the row. `since_version` is the first version that the
    key is for, as stored with the key. `first_sealed` is the first sealed version since the person's last erasure.
    """

    stream: UUID
    since: int | None
    version: int | None
    events: int | None
    differs: bool
    live_version: int | None
    since_version: int | None
    first_sealed: int | None


def judge_stream(facts: StreamFacts, opens: bool) -> Iterator[Finding]:
    """`opens`: the key opens the first and the last of its events."""
    place = f"stream {facts.stream}"
    if facts.since is not None and (facts.since != 1 or facts.events != facts.version):
        sentence = f"{place} has a gap: {facts.events} events from version {facts.since} to {facts.version}"
        yield Finding(Subject.EVENT, place, sentence)
    if facts.differs and (row := _row_sentence(facts)):
        yield Finding(Subject.READ_MODEL, place, f"{row}: `preferences rebuild` mends it")
    if key := _key_sentence(facts, opens):
        yield Finding(Subject.KEY, place, f"{key}: `preferences person-keys check` tries all of them")


def _row_sentence(facts: StreamFacts) -> str | None:
    if facts.live_version is None:
        return f"stream {facts.stream} has no current preferences, and the log has {facts.events} events of it"
    if facts.version is None:
        return f"stream {facts.stream} has current preferences, and the log has no event of it"
    return (
        f"the current preferences of stream {facts.stream}, at version {facts.live_version}, are not what the log says "
        f"up to version {facts.version}"
    )


def _key_sentence(facts: StreamFacts, opens: bool) -> str | None:
    if facts.since_version is None:
        if facts.first_sealed is None:
            return None
        return f"stream {facts.stream} has no key, and version {facts.first_sealed} was sealed and not erased"
    if facts.version is None:
        return f"there is a key for stream {facts.stream}, and the log has no event of it"
    if facts.first_sealed is None:
        return f"there is a key for stream {facts.stream}, and no event that it could be for: it was erased, or never sealed"
    if facts.since_version != facts.first_sealed:
        return (
            f"the key of stream {facts.stream} is said to be for version {facts.since_version} and later ones, "
            f"and version {facts.first_sealed} is the first that it is for"
        )
    if not opens:
        return f"the key of stream {facts.stream} doesn't open what it is for, from version {facts.first_sealed} on"
    return None
