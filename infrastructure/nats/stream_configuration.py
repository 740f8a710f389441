"""How a JetStream stream must be configured to hold every event once, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

UNLIMITED: Final = -1
"""JetStream's value for no limit."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """`max_bytes` limits a new stream; an account can require such a limit. With a `purpose`, a stream that was made for another purpose
    can't be used.
    """

    name: str
    subjects: Sequence[str]
    replicas: int = 1
    max_bytes: int | None = None
    purpose: str | None = None

    def new(self) -> StreamConfig:
        return StreamConfig(
            name=self.name,
            description=self.purpose or "Every change of notification preferences, in the order of the log.",
            subjects=[*self.subjects],
            storage=StorageType.FILE,
            num_replicas=self.replicas,
            retention=RetentionPolicy.LIMITS,
            # A full stream refuses the next message. The relay then waits, and nothing is lost.
            discard=DiscardPolicy.NEW,
            max_bytes=self.max_bytes or UNLIMITED,
            allow_atomic=True,
            allow_direct=True,
        )

    def faults(self, config: StreamConfig) -> str:
        """What prevents the stream from holding every event once, in order. Empty if nothing does.

        `max_age` is no fault: with it an operator makes the stream forget erased persons.
        """
        if config.storage != StorageType.FILE:
            return "is kept in memory: events that were acknowledged would be lost"
        if config.mirror or config.sources or config.subject_transform:
            return "takes in messages from elsewhere"
        if config.subjects != [*self.subjects]:
            return f"has the subjects {', '.join(config.subjects or [])} instead of {', '.join(self.subjects)}"
        if self.purpose and config.description != self.purpose:
            return f"was made for something else: {config.description}"
        if config.no_ack or config.sealed:
            return "acknowledges nothing"
        return _what_drops_events(config)


def _what_drops_events(config: StreamConfig) -> str:
    if config.retention != RetentionPolicy.LIMITS:
        return f"has retention: {config.retention}, which drops events that a consumer has acknowledged: make it anew"
    if config.discard != DiscardPolicy.NEW:
        return "has discard: old, which drops the oldest events where a limit is reached: set discard: new"
    if (config.max_msgs_per_subject or UNLIMITED) > 0:
        return (
            f"has max_msgs_per_subject: {config.max_msgs_per_subject}, which drops older events: set it to {UNLIMITED}"
        )
    return ""
