"""The feed as server-sent events: what is there already, then what comes, for as long as the reader may and does read."""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import product
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.events import catalogue_published
from tests.support.events_client import EVENTS, Message, events_key, lines, positions, stream
from tests.support.filled_log import Chance, put
from tests.support.raw_connection import RawConnection, connected
from tests.support.raw_http import request_head
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

HEARTBEAT = 0.3
SEND_WITHIN = 1.5
DIGEST = ({"email": {"weekly_usage_digest": True}}, {"email": {"weekly_usage_digest": False}})


@pytest.fixture(scope="module")
def live(new_database) -> Iterator[Server]:
    """A server with a log that all tests of this file add to."""
    url = new_database()
    put(url, [catalogue_published(1), *Chance(5).events(300)])
    with Server(url, feed_heartbeat=HEARTBEAT, feed_send_within=SEND_WITHIN, feed_readers=20) as server:
        yield server


@pytest.fixture
async def http(live: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=live.url, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def platform(live: Server) -> dict[str, str]:
    return asyncio.run(events_key(live.database_url))


async def change(http: httpx.AsyncClient, user: str, organization: str = "org_math", times: int = 1) -> None:
    token = bearer(user, organization)
    for number in range(times):
        assert (await http.patch(PATH, headers=token, json=DIGEST[number % 2])).status_code == 200


def same(messages: list[Message], events: list[Any]) -> bool:
    """Whether a reader of the stream was told what a reader of lines is."""
    return [(m.position, m.event, json.loads(m.data)) for m in messages] == [
        (int(event["sequence"]), event["type"], event) for event in events
    ]


async def test_what_is_there_comes_first_and_then_what_is_recorded_in_the_order_of_the_log(
    live, http, platform, fresh_user
) -> None:
    there, _ = await lines(http, platform)
    async with stream(live.url, platform) as reader:
        assert reader.status == 200
        assert "content-type: text/event-stream\r\n" in reader.head
        assert same(await reader.take(len(there)), there)
        await change(http, fresh_user(), times=5)
        new, _ = await lines(http, platform, after=positions(there)[-1])
        assert len(new) == 6
        assert same(await reader.take(6), new)


async def test_who_begins_at_the_end_or_beyond_it_hears_only_of_what_is_new(live, http, platform, fresh_user) -> None:
    _, now = await lines(http, platform)
    async with AsyncExitStack() as open_streams:
        at_the_end = await open_streams.enter_async_context(stream(live.url, platform, f"?after={now}"))
        later = await open_streams.enter_async_context(stream(live.url, platform, f"?after={now + 3}"))
        await change(http, fresh_user(), times=5)
        assert [message.position for message in await at_the_end.take(4)] == [now + 1, now + 2, now + 3, now + 4]
        assert [message.position for message in await later.take(3)] == [now + 4, now + 5, now + 6]


async def test_the_last_event_id_wins_over_after(live, http, platform) -> None:
    async with stream(live.url, platform | {"Last-Event-ID": "40"}, "?after=7") as reader:
        assert (await reader.take(1))[0].position == 41
    for wrong in ("-1", "x", "1.5"):
        async with asyncio.timeout(10):
            response = await http.get(
                EVENTS, headers=platform | {"Last-Event-ID": wrong, "Accept": "text/event-stream"}
            )
        assert response.status_code == 422
        assert [*response.json()["error"]["details"]] == ["last-event-id"]


@pytest.mark.parametrize(
    ("header", "query", "first"),
    [
        (None, "lastEventId=40", 41),
        (None, "lastEventId=40&after=7", 41),
        ("50", "lastEventId=40", 51),
        ("", "lastEventId=40", 41),
        ("", "after=7", 8),
        (" ", "after=7&lastEventId=", 8),
    ],
)
async def test_the_last_event_id_counts_as_polyfills_send_it_and_a_blank_one_is_absent(
    header: str | None, query: str, first: int, live, platform
) -> None:
    headers = platform | ({} if header is None else {"Last-Event-ID": header})
    async with stream(live.url, headers, f"?{query}") as reader:
        assert reader.status == 200
        assert (await reader.take(1))[0].position == first


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
@pytest.mark.parametrize(
    "query", ["afer=100", "after=1&after=2", "lastEventId=x", "lastEventId=-1", f"lastEventId={2**63}"]
)
async def test_a_parameter_that_is_misspelt_repeated_or_wrong_is_refused(
    accept: str, query: str, http, platform
) -> None:
    # Its heartbeats would keep a stream that is not refused from ever running into the client's own time limit.
    async with asyncio.timeout(10):
        response = await http.get(f"{EVENTS}?{query}", headers=platform | {"Accept": accept})
    assert response.status_code == 422
    assert [*response.json()["error"]["details"]] == [query.partition("=")[0]]


async def test_a_last_event_id_in_the_query_is_for_streams_alone(http, platform) -> None:
    response = await http.get(f"{EVENTS}?lastEventId=40", headers=platform)
    assert response.status_code == 422
    assert response.json()["error"]["details"] == {"lastEventId": "must be absent where there is no stream"}


async def test_a_stream_has_no_limit(http, platform) -> None:
    response = await http.get(f"{EVENTS}?limit=5", headers=platform | {"Accept": "text/event-stream"})
    assert response.status_code == 422
    assert response.json()["error"]["details"] == {"limit": "must be absent where there is no end"}


async def test_who_is_cut_off_at_random_moments_goes_on_without_a_gap_or_a_repeat(
    live, http, platform, fresh_user
) -> None:
    _, begin = await lines(http, platform, limit=100)
    chance = random.Random(7)
    users = [fresh_user() for _ in range(4)]
    writing = asyncio.gather(*(change(http, user, times=40) for user in users))
    taken: list[Message] = []
    last = str(begin)
    while not (writing.done() and taken and taken[-1].position == (await lines(http, platform))[1]):
        async with stream(live.url, platform | {"Last-Event-ID": last}) as reader:
            try:
                async with asyncio.timeout(chance.uniform(0.05, 0.5)):
                    async for message in reader.events():
                        taken.append(message)
                        last = message.id
                        if chance.random() < 0.02:
                            break
            except TimeoutError:
                pass
    await writing
    assert same(taken, (await lines(http, platform, after=begin))[0])


async def test_an_organization_hears_of_nobody_else_live_either(live, http, platform, fresh_user) -> None:
    headers = await events_key(live.database_url, "org_live")
    async with stream(live.url, headers) as reader:
        assert [message.event.split(".")[-2] for message in await reader.take(1)] == ["catalogue-published"]
        await change(http, fresh_user(), "org_math", times=3)
        await change(http, fresh_user(), "org_live", times=2)
        organizations = [json.loads(message.data)["data"]["organization"] for message in await reader.take(3)]
    assert organizations == ["org_live"] * 3


async def test_a_filter_holds_for_what_is_there_and_for_what_comes(live, http, platform, fresh_user) -> None:
    _, now = await lines(http, platform)
    query = f"?after={now}&type=notification-preferences.opened.v1"
    async with stream(live.url, platform, query) as reader:
        await change(http, fresh_user(), times=3)
        await change(http, fresh_user(), times=3)
        assert [message.position for message in await reader.take(2)] == [now + 1, now + 5]


async def test_heartbeats_keep_a_quiet_stream_open_and_move_its_reader_past_what_is_not_for_it(
    live, http, platform, fresh_user
) -> None:
    headers = await events_key(live.database_url, "org_quiet")
    async with stream(live.url, headers, "?after=1") as reader:
        await change(http, fresh_user(), times=3)
        _, now = await lines(http, platform)
        # What moves a client on is a message with data: some hand out what has none as an event.
        async with asyncio.timeout(10):
            async for message in reader.messages():
                assert message.event == "position"
                assert json.loads(message.data) == {"position": message.position}
                if message.position == now:
                    break
        # And what only says that there is nothing is a comment, which ends no block.
        told = b""
        async with asyncio.timeout(10):
            async for chunk in reader.bytes():
                told += chunk
                if told.count(b": heartbeat\n") == 2:
                    break
        assert told == b": heartbeat\n" * 2


async def test_a_reader_who_takes_nothing_is_cut_off_and_the_others_are_not_kept_waiting(
    new_database, record_property
) -> None:
    url = new_database()
    put(url, Chance(3).events(15_000))
    headers = await events_key(url)
    with Server(url, feed_send_within=SEND_WITHIN, log_level="warning") as server:
        for accept in ("text/event-stream", "application/x-ndjson"):
            # Given somebody who asks for 10 MB, more than the machine keeps on the way, and doesn't read them
            before = server.log().count(b"reader cut off")
            async with stream(server.url, headers, accept=accept, buffer=1024):
                async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
                    # when somebody else reads all of it
                    assert len((await lines(http, headers))[0]) == 15_000
                # then the first one is cut off, some time after the server was rid of nothing any more.
                await until(lambda before=before: server.log().count(b"reader cut off") > before)
        assert b"Traceback" not in server.log()


async def test_a_key_that_is_revoked_ends_its_stream(live, http, platform) -> None:
    headers = await events_key(live.database_url, "org_revoked")
    async with stream(live.url, headers) as reader:
        assert await reader.take(1)
        with psycopg.connect(live.database_url) as connection:
            connection.execute("UPDATE api_keys SET revoked_at = now() WHERE organization = 'org_revoked'")
        async with asyncio.timeout(20):
            async for message in reader.messages():
                assert message.event == "position"
    assert reader.whole


async def test_a_session_that_expires_ends_its_stream(new_database) -> None:
    url = new_database()
    put(url, Chance(3).events(10))
    with Server(url, role_scopes="admin=events:read") as server:
        headers = bearer("user_x", "org_math", role="admin", exp=int(time.time()) + 4)
        async with stream(server.url, headers) as reader:
            assert reader.status == 200
            async with asyncio.timeout(40):
                async for _ in reader.bytes():
                    pass
        assert reader.whole


async def test_there_is_room_for_so_many_readers_and_one_who_leaves_makes_room(new_database) -> None:
    url = new_database()
    headers = await events_key(url)
    with Server(url, feed_readers=2, feed_heartbeat=0.2) as server:
        async with AsyncExitStack() as others:
            for _ in range(2):
                assert (await others.enter_async_context(stream(server.url, headers))).status == 200
            async with stream(server.url, headers) as refused:
                assert refused.status == 503
                assert "retry-after: 10\r\n" in refused.head
            # Pages and lines have no end to wait for.
            async with httpx.AsyncClient(base_url=server.url) as http:
                assert await lines(http, headers) == ([], 0)
        async with asyncio.timeout(10):
            while True:
                async with stream(server.url, headers) as admitted:
                    if admitted.status == 200:
                        return


ENDS: dict[str, Callable[[RawConnection], None]] = {
    "closed": lambda connection: connection.writer.close(),
    "reset": lambda connection: connection.reset(),
    "closed on one side": lambda connection: connection.writer.write_eof(),
}


async def test_readers_who_hang_up_with_requests_unanswered_leave_their_places(new_database) -> None:
    # Given a server that writes nothing to its readers for a minute, so that no write can fail
    url = new_database()
    headers = await events_key(url)
    read = request_head("GET", EVENTS, *headers.items(), ("Accept", "text/event-stream"))
    with Server(url, feed_heartbeat=60) as server:
        async with AsyncExitStack() as readers:
            # and readers, of which some send more requests behind the one that is being answered,
            ends: list[Callable[[], None]] = []
            for end, number in product(ENDS.values(), (0, 1, 20)):
                connection = await readers.enter_async_context(connected(server.url))
                ends.append(partial(end, connection))
                await connection.send(read)
                received = b""
                while b"retry:" not in received:
                    received += await connection.piece()
                if number:
                    await connection.send(*[request_head("GET", PATH)] * number)
            # which keep their places as long as they stay,
            await asyncio.sleep(2)
            assert reading(server) == len(ends)
            # when they hang up, then their places are free, long before the next heartbeat.
            for hang_up in ends:
                hang_up()
            await until(lambda: reading(server) == 0)


def reading(server: Server) -> int:
    """Readers of the live feed, as the server counts them."""
    [line] = re.findall(r"^preferences_feed_readers (\S+)$", httpx.get(f"{server.url}/metrics").text, re.MULTILINE)
    return int(float(line))


async def test_the_tail_goes_on_where_it_was_when_its_connection_is_lost(live, http, platform, fresh_user) -> None:
    _, now = await lines(http, platform)
    async with stream(live.url, platform, f"?after={now}") as reader:
        await change(http, fresh_user(), times=1)
        assert [message.position for message in await reader.take(2)] == [now + 1, now + 2]
        # The one of the test before may still be on its way out.
        await until(lambda: tails(live) == 1)
        with psycopg.connect(live.database_url, autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'preferences feed tail'"
                " AND datname = current_database()"
            ).fetchall()
            assert ended == [(True,)]
        await change(http, fresh_user(), times=3)
        assert [message.position for message in await reader.take(4)] == [now + 3, now + 4, now + 5, now + 6]


async def test_one_connection_follows_the_log_for_all_readers_and_none_where_there_is_no_reader(
    live, http, platform
) -> None:
    async with AsyncExitStack() as readers:
        for _ in range(5):
            await readers.enter_async_context(stream(live.url, platform, f"?after={2**40}"))
        await until(lambda: tails(live) == 1)
    await until(lambda: tails(live) == 0)


def tails(live: Server) -> int:
    """Connections by which the server follows the log."""
    with psycopg.connect(live.database_url) as connection:
        return connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'preferences feed tail'"
            " AND datname = current_database()"
        ).fetchall()[0][0]


async def test_a_server_that_stops_ends_its_streams_at_once(new_database, record_property) -> None:
    url = new_database()
    put(url, Chance(3).events(15_000))
    headers = await events_key(url)
    server = Server(url, feed_heartbeat=60, feed_send_within=60)
    with server:
        async with AsyncExitStack() as streams:
            quiet, stuck = [
                await streams.enter_async_context(stream(server.url, headers, q, buffer=1024))
                for q in (f"?after={2**40}", "")
            ]
            lines_ = await streams.enter_async_context(
                stream(server.url, headers, accept="application/x-ndjson", buffer=1024)
            )
            assert [reader.status for reader in (quiet, stuck, lines_)] == [200] * 3
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            async with asyncio.timeout(15):
                async for _ in quiet.bytes():
                    pass
                assert await stopping == 0
            # What could be taken for the whole log, if it ended well, is broken off.
            assert quiet.whole
            async for _ in lines_.bytes():
                pass
            assert not lines_.whole
        assert b"Traceback" not in server.log()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - other processes have no event for it
            await asyncio.sleep(0.05)
