"""What one stream's row in the current preferences and its key must be, by the stream's events."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from application.evidence.sweep import Finding, Subject


class StreamFacts(NamedTuple):
    """A stream, and what there is for it. Versions are None where there is no such event, row or key.

    `since` is the first version, `events` their number. `differs`: the row is another than the events make. `live_version` is the row's.
    `since_version` is the key's. `first_sealed` is the first sealed version since the person was last erased.
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
    """`opens`: the key opens the first and the last event that it is for."""
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
