"""A connection that is lost around a commit leaves its outcome unknown; the service finds out, and says what is true."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from domain.events import NotificationToggled
from domain.preferences import stream_id
from infrastructure.log.event_codec import decode
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.figures import figures
from tests.support.folded_log import FoldedLog
from tests.support.keep_alive import KeepAlive, Reply
from tests.support.server import Server
from tests.support.tokens import bearer

ON, OFF = ({"email": {"weekly_usage_digest": enabled}} for enabled in (True, False))
LOCK = "SELECT pg_advisory_xact_lock(7305114882901)"


@pytest.fixture
async def proxy(database_url) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def behind_proxy(proxy) -> AsyncIterator[Server]:
    """A server whose connections can be cut."""
    server = Server(proxy.url, log_level="warning")
    # In a thread, since the proxy that it starts through needs this one.
    await asyncio.to_thread(server.__enter__)
    yield server
    await asyncio.to_thread(server.__exit__)


@pytest.fixture
def server(serve) -> Server:
    """Another server on the same database, which nobody cuts off."""
    return serve(log_level="warning")


@pytest.fixture
def toggles(database_url):
    """What is recorded of a user: each choice with its request."""

    def of(user: str = "user_ada") -> list[tuple[str, bool]]:
        with psycopg.connect(database_url) as connection:
            rows = connection.execute(
                "SELECT originator_id, originator_version, topic, state FROM preferences_events "
                "WHERE originator_id = %s ORDER BY originator_version",
                [stream_id("org_math", user)],
            ).fetchall()
        events = [decode(*row) for row in rows]
        return [(event.request_id, event.enabled) for event in events if isinstance(event, NotificationToggled)]

    return of


async def patch(server: Server, body: object, user: str = "user_ada", **headers: str) -> Reply:
    async with KeepAlive(server.url) as connection:
        return await connection.patch({**bearer(user), **headers}, body)


@pytest.mark.parametrize("cut", Cut)
async def test_a_change_whose_connection_was_cut_is_answered_and_recorded_once(
    cut, behind_proxy, proxy, toggles, database_url, record_property
) -> None:
    # Given a user who changes something to and fro
    expected = []
    for number in range(10):
        wanted = number % 2 == 0
        # when the connection is cut around the commit, each time
        proxy.arm(cut)
        reply = await patch(behind_proxy, ON if wanted else OFF)
        # then the client gets its answer, and one event says what it asked for.
        assert reply.status == 200
        assert reply.preferences["email"]["weekly_usage_digest"] is wanted
        expected.append((reply.request_id, wanted))
        assert toggles() == expected
    assert proxy.struck == [cut] * 10
    assert FoldedLog(database_url).faults == []
    figures(record_property, cut=cut.value, cuts=len(proxy.struck), events=len(toggles()))


async def test_a_change_that_was_cut_off_and_is_still_waiting_for_the_lock_is_recorded_once(
    behind_proxy, proxy, toggles, database_url
) -> None:
    # Given a PATCH whose statement waits in PostgreSQL, behind somebody else's lock, when its connection is cut
    proxy.arm(Cut.WHILE)
    async with await psycopg.AsyncConnection.connect(database_url) as somebody:
        await somebody.execute(LOCK)
        waiting = asyncio.create_task(patch(behind_proxy, ON))
        # and the service, which finds nothing recorded, has sent another one that waits behind it
        async with asyncio.timeout(0.8):
            while await waiting_for_the_lock(database_url) < 2:  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.01)
    # when both get their turn
    reply = await waiting
    # then one of them records the change, and the client learns of it.
    assert reply.status == 200
    assert toggles() == [(reply.request_id, True)]
    assert FoldedLog(database_url).faults == []


async def waiting_for_the_lock(database_url: str) -> int:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return (await cursor.fetchall())[0][0]


async def test_a_lost_answer_is_found_even_where_another_server_has_changed_it_back_since(
    behind_proxy, server, proxy, toggles, database_url
) -> None:
    # Given a change that is committed, while its answer is still on the way
    meanwhile: list[Reply] = []

    async def change_back() -> None:
        meanwhile.append(await patch(server, OFF))

    proxy.arm(Cut.AFTER, meanwhile=change_back)
    # when another server changes it back, and then the answer is lost
    reply = await patch(behind_proxy, ON)
    # then each of both got the state that was real after its own change, and has one event.
    assert (reply.status, meanwhile[0].status) == (200, 200)
    assert reply.preferences["email"]["weekly_usage_digest"] is True
    assert toggles() == [(reply.request_id, True), (meanwhile[0].request_id, False)]
    assert FoldedLog(database_url).faults == []


@pytest.mark.parametrize("cut", Cut)
async def test_a_lost_answer_to_a_conditional_change_is_not_mistaken_for_somebody_elses_change(
    cut, behind_proxy, proxy, toggles
) -> None:
    # Given a change under the condition that nobody was faster
    tag = (await patch(behind_proxy, ON)).headers["etag"]
    proxy.arm(cut)
    # when its connection is cut
    reply = await patch(behind_proxy, OFF, **{"If-Match": tag})
    # then it was itself that moved the state on: no 412.
    assert reply.status == 200
    assert reply.headers["etag"] != tag
    assert [enabled for _, enabled in toggles()] == [True, False]
    # And a condition that fails for a good reason still does.
    assert (await patch(behind_proxy, ON, **{"If-Match": tag})).status == 412


@pytest.mark.parametrize("cut", Cut)
async def test_everybody_in_a_batch_that_was_cut_gets_the_right_answer(
    cut, behind_proxy, proxy, toggles, database_url
) -> None:
    # Given changes of many users, and several of one of them, that are committed together
    users = [*(f"user_{number}" for number in range(20)), *["user_ada"] * 10]
    proxy.arm(cut, cut)
    # when the connection is cut under the first batches, of which there may be one or two
    bodies = [OFF if number % 2 else ON for number in range(len(users))]
    replies = await asyncio.gather(*(patch(behind_proxy, body, user) for user, body in zip(users, bodies, strict=True)))
    assert cut in proxy.struck
    # then everybody has an answer, and every change is recorded once.
    for user, body, reply in zip(users, bodies, replies, strict=True):
        assert reply.status == 200
        assert reply.preferences["email"]["weekly_usage_digest"] is body["email"]["weekly_usage_digest"]
        recorded = [request for request, _ in toggles(user) if request == reply.request_id]
        # Of the ten, those who came behind one that wanted the same found their wish fulfilled.
        assert len(recorded) == 1 or (user == "user_ada" and not recorded)
    states = [enabled for _, enabled in toggles("user_ada")]
    assert all(before is not after for before, after in pairwise(states))
    assert FoldedLog(database_url).faults == []


@pytest.mark.parametrize("turns", range(8))
async def test_the_proxy_can_be_closed_at_any_moment_of_a_connection(turns, database_url) -> None:
    # Given a client that has just connected, so that its conversation is about to begin, or connects to PostgreSQL
    async with CuttingProxy(database_url) as proxy:
        _, to_proxy = await asyncio.open_connection("127.0.0.1", int(conninfo_to_dict(proxy.url)["port"]))
        for _ in range(turns):
            await asyncio.sleep(0)
    # when the proxy is closed, then asyncio logs no error (every test checks that), and the client is hung up on.
    to_proxy.close()


async def test_the_proxy_really_loses_answers_and_who_just_repeats_writes_twice(database_url, record_property) -> None:
    """The control: a client that takes a lost connection for a failure, as many do, behind the same proxy."""
    async with (
        CuttingProxy(database_url, marker=b"INSERT INTO naive") as proxy,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as direct,
    ):
        await direct.execute("CREATE TABLE naive (request text)")

        async def write(request: str) -> int:
            for attempt in (1, 2):
                try:
                    async with await psycopg.AsyncConnection.connect(proxy.url, autocommit=True) as connection:
                        await connection.execute("INSERT INTO naive VALUES (%s)", [request])
                        return attempt
                except psycopg.OperationalError:
                    continue
            raise AssertionError

        attempts = [await write("undisturbed")]
        for cut in (Cut.BEFORE, Cut.AFTER):
            proxy.arm(cut)
            attempts.append(await write(cut.name))
        rows = await (await direct.execute("SELECT request FROM naive")).fetchall()
    written = Counter(request for (request,) in rows)
    assert attempts == [1, 2, 2]
    assert written == {"undisturbed": 1, "BEFORE": 1, "AFTER": 2}
    figures(record_property, **written)
