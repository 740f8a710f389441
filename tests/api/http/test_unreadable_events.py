"""An event that this release can't read stops the feed at its place: what precedes it is handed out, and it is never passed over."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest

from projections.cloud_events import cloud_event
from tests.support.events import catalogue_published
from tests.support.events_client import EVENTS, events_key, lines, pages, positions, stream
from tests.support.filled_log import Chance, put, take_in
from tests.support.server import Server

LOG = [catalogue_published(1), *Chance(14).events(60)]
FEED = [json.loads(json.dumps(cloud_event(number, event))) for number, event in enumerate(LOG, 1)]
MATH = [event for event in FEED if event["data"].get("organization") == "org_math" or event is FEED[0]]
UNREADABLE = positions(MATH)[12]
TOGGLED = "notification-preferences.toggled.v1"


@pytest.fixture(scope="module", params=["no index", "an index"])
def server(request: pytest.FixtureRequest, new_database) -> Iterator[Server]:
    url = new_database()
    put(url, LOG)
    if request.param == "an index":
        asyncio.run(take_in(url))
    with psycopg.connect(url) as connection:
        # The position behind it is no better, and both may be read in any order.
        connection.execute(
            "UPDATE preferences_events SET topic = 'x' WHERE notification_id = ANY (%s)",
            [[UNREADABLE, positions(MATH)[13]]],
        )
    with Server(url, followers="off", feed_heartbeat=0.3) as server:
        yield server


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        yield client


@pytest.fixture(params=[None, "org_math"])
async def headers(request: pytest.FixtureRequest, server: Server) -> dict[str, str]:
    return await events_key(server.database_url, request.param)


@pytest.mark.parametrize("query", [{}, {"type": TOGGLED}], ids=str)
async def test_a_page_ends_before_it_and_the_next_one_is_an_error(http, headers, query, request) -> None:
    expected = readable(request, query)
    page = (await http.get(EVENTS, params=query, headers=headers)).json()
    assert page["data"] == expected
    assert positions(expected)[-1] <= page["meta"]["next_after"] < UNREADABLE
    assert page["meta"]["next_cursor"] is not None
    for after in (page["meta"]["next_after"], UNREADABLE - 1):
        refused = await http.get(EVENTS, params={**query, "after": after}, headers=headers)
        assert refused.status_code == 500
        assert refused.json()["error"]["code"] == "INTERNAL"


async def test_lines_end_before_it_and_are_broken_off(http, server, headers, request) -> None:
    expected = readable(request, {})
    told = b""
    async with stream(server.url, headers, accept="application/x-ndjson") as reader:
        assert reader.status == 200
        async for chunk in reader.bytes():
            told += chunk
    assert [json.loads(line) for line in told.splitlines()] == expected
    assert not reader.whole
    # With a limit they are a piece, and its header says where it ends.
    found, next_after = await lines(http, headers, limit=50)
    assert found == expected
    assert next_after < UNREADABLE
    for limit in ({}, {"limit": 50}):
        refused = await http.get(
            EVENTS, params={"after": next_after, **limit}, headers=headers | {"Accept": "application/x-ndjson"}
        )
        assert refused.status_code == 500


async def test_a_stream_ends_before_it_and_can_not_be_begun_at_it(server, headers, request) -> None:
    expected = readable(request, {})
    async with stream(server.url, headers) as reader:
        assert [message.position for message in await reader.take(len(expected))] == positions(expected)
        async with asyncio.timeout(10):
            async for message in reader.messages():
                # Until then it may say that there is nothing, or move the reader past what is not for it, but never past the event.
                assert not message.data or (message.event == "position" and message.position < UNREADABLE), message
        assert reader.last_event_id
        assert int(reader.last_event_id) < UNREADABLE
        assert not reader.whole
    async with stream(server.url, headers, f"?after={UNREADABLE - 1}") as refused:
        assert refused.status == 500


async def test_what_follows_it_can_be_read_by_whoever_passes_it_over(http, headers, request) -> None:
    everybody = request.node.callspec.params["headers"] is None
    behind = positions(MATH)[13]
    expected = [event for event in (FEED if everybody else MATH) if int(event["sequence"]) > behind]
    assert await pages(http, headers, after=behind) == expected


def readable(request: pytest.FixtureRequest, query: dict[str, str]) -> list[object]:
    of = FEED if request.node.callspec.params["headers"] is None else MATH
    return [
        event
        for event in of
        if int(event["sequence"]) < UNREADABLE and query.get("type", event["type"]) == event["type"]
    ]
