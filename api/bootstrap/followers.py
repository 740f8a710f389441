"""The followers of the log: which there are, running them, and looking after them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import structlog

from api.bootstrap.clock import clock_of
from application import followers
from application.followers import CannotReset, FollowerStatus
from domain.errors import NotFound
from infrastructure.audit.index import AuditIndexer
from infrastructure.followers.journal import Connection
from infrastructure.followers.register import FollowerRegister
from infrastructure.followers.runner import FollowerRunner
from infrastructure.postgres.database import Database
from infrastructure.settings import Settings

GRACE: Final = 5.0
"""Seconds that transactions under way have to finish after SIGTERM."""

PATIENCE: Final = 15.0
"""Seconds that a person at the command line waits for the database to answer."""

Follower: TypeAlias = followers.Follower[Connection]

log = structlog.get_logger("followers")


def registered(_of: Settings) -> list[Follower]:
    """Those that `preferences follow` runs. A new one is an entry here."""
    return [AuditIndexer()]


async def run_followers(url: str, followers: Sequence[Follower], stop: asyncio.Event) -> None:
    """Run them all until `stop` is set. What nobody foresaw in one of them ends them all, so that somebody sees it."""
    log.info("following", followers=[follower.name for follower in followers])
    runners = [
        asyncio.create_task(FollowerRunner(url, follower).run(stop), name=follower.name) for follower in followers
    ]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *runners}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await stopping
    if runners:
        _, late = await asyncio.wait(runners, timeout=GRACE)
        for runner in late:
            # What is under way is rolled back, and comes again.
            log.warning("follower did not finish in time", follower=runner.get_name(), seconds=GRACE)
            runner.cancel()
        outcomes = await asyncio.gather(*runners, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
    log.info("stopped following")


class Followers:
    """What an operator can do with them, by name. Raises `NotFound` where nobody is called so.

    `elsewhere` are those that other commands run: they are listed once they have run.
    """

    def __init__(self, known: Sequence[Follower], elsewhere: Sequence[Follower], register: FollowerRegister) -> None:
        self._known = [follower.name for follower in known]
        self._resettable = {follower.name: follower for follower in (*known, *elsewhere)}
        self._register = register

    async def list(self) -> "list[FollowerStatus]":
        return await self._register.statuses(self._known)

    async def pause(self, name: str) -> None:
        await self._existing(name)
        await self._register.pause(name)

    async def resume(self, name: str) -> None:
        await self._existing(name)
        await self._register.resume(name)

    async def reset(self, name: str, to: int) -> None:
        """Raises `CannotReset`."""
        await self._existing(name)
        if name not in self._resettable:
            raise CannotReset(f"{name} is unknown to this release: nobody knows what to undo")
        await self._register.reset(self._resettable[name], to)

    async def _existing(self, name: str) -> None:
        if name not in {status.name for status in await self.list()}:
            raise NotFound(f"there is no follower {name}")


@asynccontextmanager
async def open_followers(of: Settings, url: str) -> AsyncIterator[Followers]:
    # Not above: they bring the broker's library, which a server process would load for nothing.
    from infrastructure.nats.jetstream import EventStream
    from infrastructure.nats.relay import Relay

    # Setting back can be the work of minutes, so the server has all the time that it needs.
    async with Database(url, size=1, connect_within=5, answer_within=0, patience=PATIENCE) as database:
        relay = Relay(EventStream(of.nats_url, of.nats_stream))
        yield Followers(registered(of), [relay], FollowerRegister(database, await clock_of(database)))
