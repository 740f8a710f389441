"""A log in ten partitions against the same log in one table: PATCH, pages of the feed, pages of the audit log."""

import asyncio
import random
import time
from collections.abc import Sequence
from statistics import median

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.contender import OURS_ALONE
from bench.feed_reader import new_key
from bench.goals import Figure
from bench.pair import compare
from bench.parts.audit_log import bring_to_memory
from bench.stage import Stage
from bench.stored_log import index_log
from bench.trial import VoidRun
from bench.users import numbered
from infrastructure.log.partitions import add_partition, partitions

NAME = "partitions"
NUMBER = 10
FEED_LIMIT, AUDIT_LIMIT = 1000, 50
ORGANIZATIONS = 50
SEED = 20261128

Trials = Sequence[tuple[str, int]]
"""Of each log: its database, and the port of the server on it."""

Queries = Sequence[dict[str, int]]
Times = Sequence[float]


def measure(stage: Stage) -> list[Figure]:
    size = stage.size
    events = size.stored_users * size.stored_events
    users = stage.make_users([numbered(number * (size.stored_users // size.users)) for number in range(size.users)])
    with stage.log(size.stored_users, size.stored_events) as one:
        with psycopg.connect(one, autocommit=True) as connection:
            index_log(connection, events)
        with stage.database(str(conninfo_to_dict(one)["dbname"])) as parts:
            divide(one, parts, events)
            for url in (one, parts):
                bring_to_memory(url)
            with (
                stage.trial(OURS_ALONE, parts, users=users) as divided,
                stage.trial(OURS_ALONE, one, users=users) as whole,
            ):
                trials = [(parts, divided.server.port), (one, whole.server.port)]
                anywhere = [
                    {"limit": FEED_LIMIT, "after": after} for after in range(0, max(1, events - FEED_LIMIT), 997)
                ]
                feed = asyncio.run(_pages(stage, trials, "events:read", "/v1/events", anywhere, [None]))
                some = [
                    numbered(number * size.stored_users // ORGANIZATIONS).organization
                    for number in range(ORGANIZATIONS)
                ]
                newest = [{"limit": AUDIT_LIMIT}]
                audit = asyncio.run(_pages(stage, trials, "audit:read", "/v1/audit-log", newest, some))
                patch = compare(stage, divided, whole)
    detail = f"{events:,} events, {NUMBER} partitions"
    return [
        Figure("partitions.patch", patch.ratio, f"{detail}; {patch.first:,.0f}/s and {patch.second:,.0f}/s"),
        Figure(
            "partitions.feed",
            feed[1] / feed[0],
            f"{FEED_LIMIT} events over HTTP; p50 {feed[0]:.2f} and {feed[1]:.2f} ms",
        ),
        Figure(
            "partitions.audit",
            audit[1] / audit[0],
            f"{AUDIT_LIMIT} entries over HTTP; p50 {audit[0]:.2f} and {audit[1]:.2f} ms",
        ),
    ]


def divide(one: str, parts: str, events: int) -> None:
    """Make the second log, a copy of the first, one in partitions of about as many events each."""
    with psycopg.connect(one) as source, psycopg.connect(parts, autocommit=True) as target:
        target.execute("TRUNCATE preferences_events")
        for number in range(1, NUMBER):
            # The sequence says how far the log has got.
            target.execute("SELECT setval('preferences_events_notification_id_seq', %s)", [number * events // NUMBER])
            add_partition(parts, ahead=1)
        target.execute("ALTER TABLE preferences_events DISABLE TRIGGER one_event_per_version")
        rows = "preferences_events (notification_id, originator_id, originator_version, topic, state, sealed_actor)"
        with (
            source.cursor().copy(f"COPY {rows} TO STDOUT (FORMAT binary)") as reading,
            target.cursor().copy(f"COPY {rows} FROM STDIN (FORMAT binary)") as writing,
        ):
            for data in reading:
                writing.write(data)
        target.execute("ALTER TABLE preferences_events ENABLE TRIGGER one_event_per_version")
        target.execute("SELECT setval('preferences_events_notification_id_seq', %s)", [events])
        target.execute("VACUUM (ANALYZE) preferences_events")
    if len(partitions(parts)) != NUMBER:
        raise VoidRun(f"{len(partitions(parts))} partitions, and not {NUMBER}")


async def _pages(
    stage: Stage, trials: Trials, scope: str, path: str, queries: Queries, organizations: Sequence[str | None]
) -> Times:
    """The median milliseconds of a page over HTTP, for each log. Both are asked for the same pages, in turns."""
    chance = random.Random(SEED)
    keys = {(url, one): await new_key(url, one, scope) for url, _ in trials for one in organizations}
    took = []
    async with httpx.AsyncClient(timeout=30) as http:
        for turn in range(stage.size.audit_pages + 1):
            organization, query = chance.choice(organizations), chance.choice(queries)
            both = {}
            for url, port in trials if turn % 2 else reversed(trials):
                headers = {"authorization": f"Bearer {keys[url, organization]}"}
                started = time.perf_counter()
                response = await http.get(f"http://127.0.0.1:{port}{path}", params=query, headers=headers)
                both[url] = (time.perf_counter() - started) * 1000
                response.raise_for_status()
                if not response.json()["data"]:
                    raise VoidRun(f"an empty page of {path}")
            if turn:  # the very first one finds nothing in memory
                took.append([both[url] for url, _ in trials])
    return [median(times) for times in zip(*took, strict=True)]
