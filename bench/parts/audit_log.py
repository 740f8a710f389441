"""A page of the audit log, with each filter, from a large log and from a small one.

The tables are read into memory first: how much of them the kernel has thrown out by then depends on what ran before. A page
reads up to 140 blocks, so a page of which nothing is in memory takes as long as the disk takes for those.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from statistics import quantiles
from typing import NamedTuple

import psycopg

from application.audit.filter import AuditFilter
from application.audit.log import EntryPosition
from bench.goals import Figure
from bench.stage import Stage
from bench.varied_log import BEGIN, LARGE, TOGGLES, fill, people
from domain.preferences import stream_id
from domain.provenance import Source
from infrastructure.audit.log import PostgresAuditLog, open_database
from infrastructure.postgres import migrations
from infrastructure.postgres.read_database import ReadDatabase
from projections.audit_log import Action
from projections.shown_actor import ActorKind

NAME = "audit_log"
LIMIT = 50
SEED = 20260307
FEWER = 10
"""How many times fewer events the smaller log has."""


class Asked(NamedTuple):
    name: str
    organization: str
    wanted: AuditFilter


def measure(stage: Stage) -> list[Figure]:
    few, many = (_measured(stage, stage.size.audit_events // less) for less in (FEWER, 1))
    slowest = max(many, key=lambda name: _p99(many[name]))
    slowest_of_few = max(few, key=lambda name: _p99(few[name]))
    growth = {name: _p99(many[name]) / _p99(few[name]) for name in many}
    most = max(growth, key=lambda name: growth[name])
    return [
        Figure(
            "audit_log.p99",
            _p99(many[slowest]),
            f"{stage.size.audit_events:,} events, the slowest of {len(many)} filters: {slowest}; "
            f"p50 of all {_p50(many):.2f} ms",
        ),
        Figure(
            "audit_log.growth",
            _p99(many[slowest]) / _p99(few[slowest_of_few]),
            f"{_p99(few[slowest_of_few]):.2f} ms with {stage.size.audit_events // FEWER:,} events ({slowest_of_few}), "
            f"{_p99(many[slowest]):.2f} ms with {stage.size.audit_events:,}; a single filter grew at most to {growth[most]:.2f} "
            f"({most}, {_p99(few[most]):.2f}, {_p99(many[most]):.2f} ms)",
        ),
    ]


def _measured(stage: Stage, events: int) -> dict[str, list[float]]:
    with stage.database() as url:
        migrations.migrate(url)
        users = max(events // 10, 40)
        fill(url, users, events)
        stage.settle()
        bring_to_memory(url)
        return asyncio.run(_pages(url, users, events, stage.size.audit_pages))


def bring_to_memory(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_prewarm")
        connection.execute("SELECT pg_prewarm(oid, 'read') FROM pg_class WHERE relkind IN ('r', 'i')")


async def _pages(url: str, users: int, events: int, pages: int) -> dict[str, list[float]]:
    """Milliseconds that each page took, by filter: all that is asked of the database for it, and reading the answer.

    The filters take turns: a moment in which the machine is slow is not one filter's alone.
    """
    chance = random.Random(SEED)
    questions = list(_questions(users, events))
    took: dict[str, list[float]] = {asked.name: [] for asked in questions}
    async with open_database(url) as database:
        index = PostgresAuditLog(ReadDatabase(database))
        for number in range(pages + 1):
            for asked in questions:
                # The first page, and others anywhere behind it.
                before = EntryPosition(BEGIN + timedelta(seconds=chance.randrange(events)), 0) if number % 2 else None
                started = time.perf_counter()
                await index.complete_until()
                await index.newest(asked.organization, asked.wanted, before=before, limit=LIMIT + 1)
                if number:  # the very first one finds nothing in memory
                    took[asked.name].append((time.perf_counter() - started) * 1000)
    return took


def _questions(users: int, events: int) -> Iterator[Asked]:
    """Each filter alone, several together, what is frequent and what is rare, in a large organization and a small one."""
    (small, somebody), (_, anybody) = islice(people(users), 2)
    everything = AuditFilter()
    middle, day = BEGIN + timedelta(seconds=events // 2), timedelta(days=1)
    yield Asked("none", LARGE, everything)
    yield Asked("none, small organization", small, everything)
    yield Asked("resource_id", LARGE, AuditFilter(stream=stream_id(LARGE, anybody)))
    yield Asked("resource_id, small organization", small, AuditFilter(stream=stream_id(small, somebody)))
    for action in Action:
        yield Asked(f"action={action}", LARGE, AuditFilter(action=action))
    for kind in ActorKind:
        yield Asked(f"actor_kind={kind}", LARGE, AuditFilter(actor_kind=kind))
    for source in Source:
        yield Asked(f"source={source}", LARGE, AuditFilter(source=source))
    for toggle in TOGGLES:
        yield Asked(f"toggle={toggle}", LARGE, AuditFilter(toggle=toggle))
    for enabled in (True, False):
        yield Asked(f"enabled={enabled}", LARGE, AuditFilter(enabled=enabled))
    yield Asked("channel", LARGE, AuditFilter(channel="email"))
    yield Asked("since and until", LARGE, AuditFilter(since=middle, until=middle + day))
    yield Asked("until", LARGE, AuditFilter(until=middle))
    rare = AuditFilter(
        source=Source.ADMIN, actor_kind=ActorKind.PLATFORM, enabled=False, toggle="product_updates", since=middle
    )
    yield Asked("several at once", LARGE, rare)


def _p99(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98]


def _p50(of: dict[str, list[float]]) -> float:
    return quantiles([took for times in of.values() for took in times], n=100)[49]
