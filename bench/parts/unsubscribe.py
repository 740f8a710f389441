"""Unsubscribe links, made for ten thousand users at a time as `POST /v1/decisions` makes them, and opened again.

Nothing waits in here, so the rate is that of one core: links a second of processor time."""

import asyncio
import secrets
from datetime import UTC, datetime
from time import process_time
from typing import Any

from application.unsubscribing import Unsubscribing
from bench.goals import Figure
from bench.stage import Stage
from bench.trial import VoidRun
from bench.users import numbered
from domain.catalogue import CATALOGUE
from domain.send_question import SendQuestion
from infrastructure.unsubscribe.link_key import LinkKey
from infrastructure.unsubscribe.sealed_tokens import SealedTokens

NAME = "unsubscribe"
BATCH = 10_000
ADDRESS = "https://mail.bench.example/unsubscribe/"
CHANNEL = CATALOGUE.channels[0]


def measure(stage: Stage) -> list[Figure]:
    members = [numbered(number) for number in range(stage.size.stored_users)]
    tokens = SealedTokens([LinkKey(secrets.token_bytes(32))])
    nothing: Any = None  # Links are made without a store.
    unsubscribing = Unsubscribing(nothing, CATALOGUE, lambda: datetime.now(UTC), tokens, ADDRESS)

    async def make(users: list[str]) -> list[str]:
        question = SendQuestion(members[0].organization, CHANNEL.name, CHANNEL.toggles[0], users, unsubscribe=True)
        decisions: Any = [{"user": user, "allowed": True} for user in users]
        await unsubscribing.add_headers(question, decisions)
        return [decision["list_unsubscribe"] for decision in decisions]

    making = opening = 0.0
    links: set[str] = set()
    with asyncio.Runner() as runner:
        for begin in range(0, len(members), BATCH):
            users = [user.name for user in members[begin : begin + BATCH]]
            started = process_time()
            made = runner.run(make(users))
            between = process_time()
            opened = [unsubscribing.offer(link[len(ADDRESS) + 1 : -1]).subscription.user for link in made]
            making, opening = making + between - started, opening + process_time() - between
            if opened != users:
                raise VoidRun("a link names another user")
            links.update(made)
    if len(links) != len(members):
        raise VoidRun("two users have the same link")
    detail = f"{len(members):,} links, each different; {len(members) / opening:,.0f} a second opened again"
    return [Figure("unsubscribe.rate", len(members) / making, detail)]
