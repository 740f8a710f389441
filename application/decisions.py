"""May these users be written to? Answers for thousands of users at once, with the positions that prove each answer later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from operator import itemgetter
from typing import Final, NamedTuple, NotRequired, Protocol, TypedDict

from application.batching import Batcher, BatchFigures
from domain.decision import decisions as decisions_by_choice
from domain.errors import Unavailable
from domain.preferences import stream_id, stream_keys
from domain.send_question import SendQuestion

SLICE: Final = 1000
"""Users handled without a pause, in a millisecond or two. Other requests wait no longer than that."""

FEW: Final = 16
"""Questions about at most this many users share their round trips. A question about more users has a round trip of its own."""

END_SERVES: Final = 0.1
"""Seconds for which the end of the log, once read, is used again."""


class StreamState(NamedTuple):
    """The state of a stream for one toggle. `position` is that of the stream's last event."""

    version: int
    position: int | None
    choice: bool | None


NEVER_CHOSE: Final = StreamState(0, None, None)


class StreamStates(NamedTuple):
    """The streams that exist, by their key, all as of one moment. `end` is the end of the log at that moment; None if it wasn't read."""

    end: int | None
    of: Mapping[bytes, StreamState]


class StreamStateStore(Protocol):
    async def stream_states(self, streams: Sequence[bytes], path: str, *, with_end: bool) -> StreamStates:
        """Read them in one query. Raises `Unavailable` while the database can't be reached or doesn't answer in time."""
        ...


class UserDecision(TypedDict):
    """A decision as the answer has it. It is a plain dict, because making and encoding a dict takes half the time of anything else.

    `application/unsubscribing.py` adds the values of the mail's headers, if the question asks for them and the mail is allowed.
    """

    user: str
    allowed: bool
    reason: str
    version: int
    position: int | None
    list_unsubscribe: NotRequired[str]
    list_unsubscribe_post: NotRequired[str]
    list_id: NotRequired[str]


class Decided(NamedTuple):
    """The decisions, in the order of the question, as of the log's `position`. They include every change of these users up to
    that position, and no later change.

    `decided_at` is when the service began to answer, in UTC. The decisions include every change that was acknowledged by then.
    """

    decided_at: datetime
    position: int
    decisions: list[UserDecision]


class Asked(NamedTuple):
    path: str
    streams: Sequence[bytes]


class Answered(NamedTuple):
    position: int
    of: Mapping[bytes, StreamState]


class Decisions:
    """Answers questions of senders.

    Questions about many users go to the store one at a time, so they never take all connections. While one answer is being made,
    the next question is looked up. Questions about few users share their round trips; a question that comes alone is sent at once.
    """

    def __init__(
        self, store: StreamStateStore, clock: Callable[[], datetime], catalogue_held: Callable[[], Awaitable[bool]]
    ) -> None:
        """`catalogue_held` says whether the catalogue of the questions is, or once was, in force. After its first yes it isn't
        called again."""
        self._store = store
        self._clock = clock
        self._catalogue_held = catalogue_held
        self._verifiable = False
        self._end = 0
        self._end_serves_until = -inf
        self._few: Batcher[Asked, Answered] = Batcher(self._look_up, at_once=True)
        self._many: Batcher[Asked, Answered] = Batcher(self._look_up, largest=1, queue_limit=16, patience=5.0)
        self.decided = {"allowed": 0, "denied": 0}
        """How many decisions were made so far, by their outcome."""

    @property
    def batches(self) -> Mapping[str, BatchFigures]:
        return {"few_decisions": self._few.figures, "many_decisions": self._many.figures}

    async def decide(self, question: SendQuestion) -> Decided:
        """Raises `Unavailable`, also until the catalogue is published: a receipt that names an unpublished catalogue can't be verified."""
        # Check this before anything is read, so that the position of the answer is never before the publishing.
        if not self._verifiable:
            self._verifiable = await self._catalogue_held()
            if not self._verifiable:
                raise Unavailable("this release's catalogue is not published: run `preferences migrate`")
        decided_at = self._clock()
        if len(question.users) <= FEW:
            streams = [stream_id(question.organization, user).bytes for user in question.users]
            position, of = await self._few.submit(Asked(question.path, streams))
        else:
            streams = await _streams_of_many(question)
            position, of = await self._many.submit(Asked(question.path, streams))
        outcomes = decisions_by_choice(question.toggle)
        decisions: list[UserDecision] = []
        for number, (user, stream) in enumerate(zip(question.users, streams, strict=True), 1):
            version, last, choice = of.get(stream, NEVER_CHOSE)
            allowed, reason = outcomes[choice]
            decisions.append({"user": user, "allowed": allowed, "reason": reason, "version": version, "position": last})
            if number % SLICE == 0:
                await asyncio.sleep(0)
        number_allowed = sum(map(itemgetter("allowed"), decisions))
        self.decided["allowed"] += number_allowed
        self.decided["denied"] += len(decisions) - number_allowed
        return Decided(decided_at, position, decisions)

    async def close(self) -> None:
        """Finish all questions that were accepted."""
        await self._few.close()
        await self._many.close()

    async def _look_up(self, asked: Sequence[Asked]) -> Sequence[Answered]:
        if len(asked) == 1:
            [(path, of_one)] = asked
            return [await self._answer(path, [*dict.fromkeys(of_one)])]
        streams: dict[str, dict[bytes, None]] = {}
        for one in asked:
            streams.setdefault(one.path, {}).update(dict.fromkeys(one.streams))
        found = {path: await self._answer(path, [*of]) for path, of in streams.items()}
        return [found[one.path] for one in asked]

    async def _answer(self, path: str, streams: Sequence[bytes]) -> Answered:
        """The states of these streams, and a position of the log at which they had exactly these states.

        Reading the end of the log takes half as long as all the rest, so an end that was read a moment ago is used again. The
        answer includes all events up to that end. It also includes every later event of these streams, and the position moves
        up to the last of those. Writers commit in the order of their positions, so the answer includes every event before it, too.
        """
        now, before = asyncio.get_running_loop().time(), self._end
        end, of = await self._store.stream_states(streams, path, with_end=now >= self._end_serves_until)
        if end is None:
            return Answered(max([before, *[standing.position or 0 for standing in of.values()]]), of)
        self._end, self._end_serves_until = end, now + END_SERVES
        return Answered(end, of)


async def _streams_of_many(question: SendQuestion) -> list[bytes]:
    streams: list[bytes] = []
    for begin in range(0, len(question.users), SLICE):
        if streams:
            await asyncio.sleep(0)
        streams += stream_keys(question.organization, question.users[begin : begin + SLICE])
    return streams
