"""A follower whose batches are recorded as spans."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from typing_extensions import override

from application.followers import Follower
from application.log import Recorded

Given = TypeVar("Given")


class FollowedBatch(NamedTuple):
    """`traceparents` are those of the events, each once. `up_to` is the last event's position."""

    traceparents: Collection[str]
    events: int
    up_to: int


TraceBatch: TypeAlias = Callable[[str, FollowedBatch], AbstractContextManager[None]]
"""The context in which the follower of this name handles a batch."""


class TracedFollower(Follower[Given], Generic[Given]):
    def __init__(self, follower: Follower[Given], trace: TraceBatch) -> None:
        self._follower = follower
        self._trace = trace

    @property
    @override
    def name(self) -> str:
        return self._follower.name

    @override
    async def handle(self, events: Sequence[Recorded], transaction: Given) -> None:
        # Each once, in the order of the log, because a request may have recorded several events.
        found = dict.fromkeys(getattr(event, "traceparent", None) for _, event in events)
        traceparents = [traceparent for traceparent in found if traceparent is not None]
        with self._trace(self.name, FollowedBatch(traceparents, len(events), events[-1].position)):
            await self._follower.handle(events, transaction)

    @override
    async def reset(self, position: int, transaction: Given) -> None:
        await self._follower.reset(position, transaction)
