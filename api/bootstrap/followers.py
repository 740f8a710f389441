"""The followers of the log: the list of them, running them, and operating them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import structlog

from api.bootstrap.clock import clock_of
from api.bootstrap.operator_database import operator_database
from application import followers
from application.followers import CannotReset, FollowerStatus
from domain.errors import NotFound
from infrastructure.audit.index import AuditIndexer
from infrastructure.followers.journal import TraceBatch
from infrastructure.followers.register import FollowerRegister
from infrastructure.followers.runner import FollowerRunner
from infrastructure.log.replicated_end import ReplicatedEnd
from infrastructure.postgres.connection import AnyConnection
from infrastructure.settings import Settings

GRACE: Final = 5.0
"""Seconds that running transactions have to finish after SIGTERM."""

LONGEST_REST: Final = 0.25
"""Seconds. Readers of the audit log see for how long it is complete, so on a busy log they wait this much longer."""

Follower: TypeAlias = followers.Follower[AnyConnection] | followers.StretchFollower[AnyConnection]

log = structlog.get_logger("followers")


def registered(_of: Settings) -> list[Follower]:
    """The followers that `preferences follow` runs. Add a new follower here."""
    return [AuditIndexer()]


async def run_followers(
    url: str,
    followers: Sequence[Follower],
    stop: asyncio.Event,
    *,
    replicated: ReplicatedEnd | None = None,
    trace: TraceBatch | None = None,
) -> None:
    """Run all followers until `stop` is set. With `replicated`, they get only events that synchronous standbys have.

    An unexpected error in one of them ends all of them, so that an operator notices it.
    """
    log.info("following", followers=[follower.name for follower in followers])
    runners = [
        asyncio.create_task(
            FollowerRunner(url, follower, longest_rest=LONGEST_REST, replicated=replicated, trace=trace).run(stop),
            name=follower.name,
        )
        for follower in followers
    ]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *runners}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await stopping
    if runners:
        _, late = await asyncio.wait(runners, timeout=GRACE)
        for runner in late:
            # Its open transaction is rolled back, and its events come again.
            log.warning("follower did not finish in time", follower=runner.get_name(), seconds=GRACE)
            runner.cancel()
        outcomes = await asyncio.gather(*runners, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
    log.info("stopped following")


class Followers:
    """The operations on followers for operators, by name. Raises `NotFound` if there is no follower of that name.

    Other commands run the followers that `elsewhere` makes. These are listed after they have run for the first time.
    """

    def __init__(
        self, known: Sequence[Follower], elsewhere: Callable[[], Follower], register: FollowerRegister
    ) -> None:
        self._known = known
        self._elsewhere = elsewhere
        self._register = register

    async def list(self) -> "list[FollowerStatus]":
        return await self._register.statuses([follower.name for follower in self._known])

    async def pause(self, name: str) -> None:
        await self._existing(name)
        await self._register.pause(name)

    async def resume(self, name: str) -> None:
        await self._existing(name)
        await self._register.resume(name)

    async def reset(self, name: str, to: int) -> None:
        """Raises `CannotReset`."""
        await self._existing(name)
        follower = next((one for one in (*self._known, self._elsewhere()) if one.name == name), None)
        if follower is None:
            raise CannotReset(f"{name} is unknown to this release: it cannot undo its effect")
        await self._register.reset(follower, to)

    async def _existing(self, name: str) -> None:
        if name not in {status.name for status in await self.list()}:
            raise NotFound(f"there is no follower {name}")


@asynccontextmanager
async def open_followers(settings: Settings, url: str) -> AsyncIterator[Followers]:

    def relay() -> Follower:
        # Imported only here: they import the broker's library, which only a reset needs.
        from infrastructure.nats.jetstream import BrokerStream
        from infrastructure.nats.relay import Relay

        return Relay(BrokerStream(settings.nats_url, settings.nats_stream))

    # A reset can take minutes, so there is no limit for the database's answer.
    async with operator_database(url, answer_within=0) as database:
        yield Followers(registered(settings), relay, FollowerRegister(database, await clock_of(database)))
