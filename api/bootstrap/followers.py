"""The followers of the log: which there are, and running them."""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias

import structlog

from application import followers
from infrastructure.audit_index import AuditIndex
from infrastructure.follower_journal import Connection
from infrastructure.followers import FollowerRunner
from infrastructure.settings import Settings

GRACE: Final = 10.0
"""Seconds that transactions under way have to finish after SIGTERM."""

Follower: TypeAlias = followers.Follower[Connection]

log = structlog.get_logger("followers")


def registered(_of: Settings) -> list[Follower]:
    """Those that `preferences follow` runs. A new one is an entry here."""
    return [AuditIndex()]


async def run_followers(url: str, followers: Sequence[Follower], stop: asyncio.Event) -> None:
    """Run them all until `stop` is set. What one of them can't foresee ends all, so that somebody sees it."""
    runners = [asyncio.create_task(FollowerRunner(url, follower).run(stop)) for follower in followers]
    runners.append(asyncio.create_task(_stopped(stop)))
    await asyncio.wait(runners, return_when=asyncio.FIRST_EXCEPTION)


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()
