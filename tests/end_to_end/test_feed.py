"""Who reads the feed misses nothing and is told nothing twice, whatever the writers do, and however it is read."""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
import psycopg
import pytest

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from infrastructure.log.event_codec import encode
from infrastructure.log.partitions import CannotPartition, add_partition, partitions
from tests.support.command import Command
from tests.support.events import opened
from tests.support.events_client import EVENTS, events_key, lines, positions, stream
from tests.support.eventually import until
from tests.support.figures import figures
from tests.support.keep_alive import KeepAlive
from tests.support.server import Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

WRITERS, USERS = 8, 40
SECONDS = os.environ.get("FEED_TEST_SECONDS")
"""How long they write, where the environment says so: longer for a search, shorter for a look."""
CHANGES_A_SECOND = 20
"""What eight writers surpass many times over, also on a slow and busy machine."""
LEAST = 20
"""Changes that each writer makes, however slow the machine is."""
ORGANIZATIONS = ("org_math", "org_chess")
TOGGLES = [toggle.name for toggle in CATALOGUE.channels[0].visible]


def faults(told: Sequence[int], log: Sequence[int]) -> list[str]:
    """What a reader of the whole log was told wrongly, each as a sentence."""
    found = [f"position {position} was told {times} times" for position, times in Counter(told).items() if times > 1]
    found += [f"position {position} was missed" for position in sorted({*log} - {*told})]
    found += [f"position {position} is not in the log" for position in sorted({*told} - {*log})]
    if list(told) != sorted(told):
        found.append("not in the order of the log")
    return found


@soak
@pytest.mark.parametrize(
    ("workers", "seconds", "partitioning"),
    [(1, rounds(1, 30), False), (2, rounds(2, 60), False), (2, rounds(2, 60), True)],
    ids=["one worker", "two workers", "partitions are added"],
)
async def test_eight_writers_and_every_kind_of_reader(
    workers, seconds, partitioning, serve, database_url, folder, record_property
) -> None:
    seconds = float(SECONDS or seconds)
    # Given readers of every kind, one of everything, and one of an organization
    server = serve(web_concurrency=workers, log_level="warning", followers="on")
    everything, math = await events_key(database_url), await events_key(database_url, "org_math")
    readers = {
        "pages": asyncio.create_task(by_pages(server, everything)),
        "lines": asyncio.create_task(by_lines(server, everything)),
        "stream": asyncio.create_task(by_stream(server, everything)),
        "pages of one": asyncio.create_task(by_pages(server, math)),
        "stream of one": asyncio.create_task(by_stream(server, math)),
    }
    # when eight writers change the preferences of some users as fast as they can
    deadline = time.monotonic() + seconds
    adding = asyncio.create_task(asyncio.to_thread(add_partitions, database_url, deadline)) if partitioning else None
    written = await asyncio.gather(*(write(server, number, deadline) for number in range(WRITERS)))
    # and then there is one last change, which readers know
    for organization in ("org_chess", "org_math"):
        async with KeepAlive(server.url) as connection:
            await connection.patch(bearer("user_last", organization), {"email": {TOGGLES[0]: False}})
    # then each of them was told of every event, once, in the order of the log.
    async with asyncio.timeout(60):
        told = dict(zip(readers, await asyncio.gather(*readers.values()), strict=True))
    with psycopg.connect(database_url) as connection:
        log = connection.execute(
            "SELECT notification_id, convert_from(state, 'UTF8')::json ->> 'organization' FROM preferences_events ORDER BY 1"
        ).fetchall()
    of_all = [position for position, _ in log]
    # (What concerns all organizations has none; here that is the catalogue alone.)
    of_one = [position for position, organization in log if organization in ("org_math", None)]
    for reader, positions_told in told.items():
        expected = of_one if reader.endswith("of one") else of_all
        assert faults(positions_told, expected) == [], reader
    assert sum(written) > max(50, CHANGES_A_SECOND * seconds)
    added = 0 if adding is None else await adding
    figures(record_property, changes=sum(written), events=len(log), seconds=seconds, partitions=added)
    if partitioning:
        assert added > 2
        until(lambda: follower_is_at(database_url, of_all[-1]))
        command = Command(folder / "data", database_url)
        for arguments in (
            ["audit", "checkpoint"],
            ["audit", "verify"],
            ["rebuild", "--compare-only"],
            ["rebuild", "audit-index", "--compare-only"],
        ):
            verdict = command(*arguments)
            assert verdict.returncode == 0, verdict


def add_partitions(url: str, deadline: float) -> int:
    """Add one as soon as the last one has an event. Returns how many there are then."""
    while time.monotonic() < deadline or len(partitions(url)) < 3:
        with suppress(CannotPartition):  # the last one has no event yet
            add_partition(url, ahead=60)
        time.sleep(0.05)
    return len(partitions(url))


def follower_is_at(url: str, position: int) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT position FROM followers").fetchall() == [(position,)]


async def write(server: Server, number: int, deadline: float) -> int:
    chance = random.Random(number)
    tokens = [bearer(f"user_{user}", organization) for user in range(USERS) for organization in ORGANIZATIONS]
    written = 0
    async with KeepAlive(server.url) as connection:
        while time.monotonic() < deadline or written < LEAST:
            wanted = {name: chance.choice([True, False]) for name in chance.sample(TOGGLES, chance.randint(1, 4))}
            reply = await connection.patch(chance.choice(tokens), {"email": wanted})
            assert reply.status == 200, reply
            written += 1
    return written


def is_last(event: Any) -> bool:
    return (
        event.get("subject") == "user_last"
        and event["type"].endswith("toggled.v1")
        and event["data"]["organization"] == "org_math"
    )


async def by_pages(server: Server, headers: dict[str, str]) -> list[int]:
    told: list[int] = []
    after = 0
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        while True:
            response = await http.get(EVENTS, params={"after": after, "limit": 50}, headers=headers)
            assert response.status_code == 200, response.text
            page = response.json()
            told += positions(page["data"])
            after = page["meta"]["next_after"]
            if any(map(is_last, page["data"])):
                return told


async def by_lines(server: Server, headers: dict[str, str]) -> list[int]:
    told: list[int] = []
    after = 0
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        while True:
            found, after = await lines(http, headers, after=after)
            told += positions(found)
            if any(map(is_last, found)):
                return told


async def by_stream(server: Server, headers: dict[str, str]) -> list[int]:
    """Cuts itself off time and again, and goes on from the last id."""
    chance = random.Random(1)
    told: list[int] = []
    last = "0"
    while True:
        async with stream(server.url, headers | {"Last-Event-ID": last}) as reader:
            async for message in reader.events():
                told.append(message.position)
                last = message.id
                if is_last(json.loads(message.data)):
                    return told
                if chance.random() < 0.002:
                    break


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ([1, 2, 4], "position 3 was missed"),
        ([1, 2, 3, 3, 4], "position 3 was told 2 times"),
        ([1, 3, 2, 4], "not in the order of the log"),
        ([1, 2, 3, 4, 5], "position 5 is not in the log"),
    ],
)
def test_what_is_looked_for_would_be_found(told, sentence) -> None:
    assert faults(told, [1, 2, 3, 4]) == [sentence]
    assert faults([1, 2, 3, 4], [1, 2, 3, 4]) == []


async def test_the_same_reader_misses_an_event_where_writers_take_no_lock(serve, database_url) -> None:
    server = serve(followers="off")
    headers = await events_key(database_url)
    insert = (
        "INSERT INTO preferences_events (originator_id, originator_version, topic, state, sealed_actor)"
        " VALUES (%s, %s, %s, %s, %s) RETURNING notification_id"
    )
    one, other, third = (
        encode(opened(stream_id("org_math", user), actor={"user": user}), bytes(32)) for user in ("ada", "bob", "eve")
    )
    async with stream(server.url, headers) as reader:
        # Given a writer who takes a position, and another one who takes a later one and commits first
        with psycopg.connect(database_url) as slow, psycopg.connect(database_url, autocommit=True) as quick:
            [(missed,)] = slow.execute(insert, one).fetchall()
            [(later,)] = quick.execute(insert, other).fetchall()
            assert [message.position for message in await reader.take(1)] == [later]
            slow.commit()
            # when the first one has committed, too, then the reader, who goes on, has passed over it for ever.
            [(last,)] = quick.execute(insert, third).fetchall()
            told = [later, *(message.position for message in await reader.take(1))]
    assert faults(told, [missed, later, last]) == [f"position {missed} was missed"]
