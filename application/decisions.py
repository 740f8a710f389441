"""May these users be written to? Answered for up to thousands at once, with what proves each answer later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Final, NamedTuple, Protocol, TypedDict

from application.batching import Batcher
from domain.decision import decisions as decisions_by_choice
from domain.errors import Unavailable
from domain.preferences import stream_id, stream_keys
from domain.send_question import SendQuestion

SLICE: Final = 1000
"""Users handled in one go, in a millisecond or two: whoever changes preferences meanwhile waits for no more than that."""

FEW: Final = 16
"""Up to so many users, questions of the same moment share their round trip. More of them are asked for alone."""

END_SERVES: Final = 0.1
"""Seconds for which the end of the log, once read, serves for questions about few."""


class Standing(NamedTuple):
    """What a stream stands at, as far as one toggle goes. `position` is that of its last event."""

    version: int
    position: int | None
    choice: bool | None


NEVER_CHOSE: Final = Standing(0, None, None)


class Standings(NamedTuple):
    """The streams that exist, by their key, all as of one moment: when the log ended at `end`, or None if that wasn't read."""

    end: int | None
    of: Mapping[bytes, Standing]


class StandingsStore(Protocol):
    async def standings(self, streams: Sequence[bytes], path: str, *, with_end: bool) -> Standings:
        """In one query. Raises `Unavailable` while the database can't be reached, or doesn't answer in time."""
        ...


class UserDecision(TypedDict):
    """As it is answered: a plain dict is made, and encoded, in half of the time of anything else."""

    user: str
    allowed: bool
    reason: str
    version: int
    position: int | None


class Decided(NamedTuple):
    """The decisions, in the order of the question, as of the log's `position`: what its users did up to there is in them, and
    nothing that they did later.

    `decided_at` is when they were asked for, in UTC: what was acknowledged by then is in them.
    """

    decided_at: datetime
    position: int
    decisions: list[UserDecision]


class Asked(NamedTuple):
    path: str
    streams: Sequence[bytes]


class Answered(NamedTuple):
    position: int
    of: Mapping[bytes, Standing]


class Decisions:
    """Questions about many users are put to the store one at a time, so that they never take the connections of all others;
    while one is answered, the next one is looked up. Those about few share their round trips; who comes alone asks at once."""

    def __init__(
        self, store: StandingsStore, clock: Callable[[], datetime], catalogue_held: Callable[[], Awaitable[bool]]
    ) -> None:
        """`catalogue_held` says whether the catalogue that questions are put with is in force, or was. It is asked until it
        has been once."""
        self._store = store
        self._clock = clock
        self._catalogue_held = catalogue_held
        self._verifiable = False
        self._end = 0
        self._end_serves_until = -inf
        self._few: Batcher[Asked, Answered] = Batcher(self._look_up, at_once=True)
        self._many: Batcher[Asked, Answered] = Batcher(self._look_up, largest=1, queue_limit=16, patience=5.0)

    async def decide(self, question: SendQuestion) -> Decided:
        """Raises `Unavailable`, also until the catalogue is published: a receipt that names it wouldn't hold."""
        # Before anything is read: so the position of the answer is never one of before the publishing.
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
        return Decided(decided_at, position, decisions)

    async def close(self) -> None:
        """Finish what was accepted."""
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
        """What these streams stand at, and a position of the log at which they stood just so.

        To read the end of the log takes half as long as all the rest, so one that was read a moment before has to serve as
        well. What happened up to it is in the answer. What happened since to any of the streams is, too, and moves the
        position to where it did; writers commit in the order of their positions, so what it moves past is in there as well.
        """
        now, before = asyncio.get_running_loop().time(), self._end
        end, of = await self._store.standings(streams, path, with_end=now >= self._end_serves_until)
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
