"""What was acknowledged is recorded, once, whoever dies in the middle of it."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import psycopg
import pytest

from domain.catalogue import CATALOGUE
from domain.preferences import stream_id
from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support import processes
from tests.support.catalogues import publish
from tests.support.clusters import ReadyCluster
from tests.support.figures import figures
from tests.support.folded_log import Answered, FoldedLog
from tests.support.keep_alive import KeepAlive, NoReply, Reply
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

KILLS = rounds(4, 20)
WRITERS = 6
TOGGLES = [toggle.name for toggle in CATALOGUE.channels[0].visible]


@dataclass
class Writer:
    """Changes one user's preferences without a pause, whatever happens, and remembers what was acknowledged.

    Each request wants a state that differs from every one that may be recorded by then, so that each one that is
    acknowledged has an event of its own: no request can find its wish fulfilled.
    """

    url: str
    user: str
    acknowledged: list[Answered] = field(default_factory=list)
    refused: int = 0
    unanswered: int = 0

    async def write(self) -> None:
        stream, token = stream_id("org_math", self.user), bearer(self.user)
        number = 0
        possible: set[int] = set()
        async with KeepAlive(self.url) as connection:
            while True:
                number = next(n % 16 for n in range(number + 1, number + 17) if n % 16 not in possible)
                possible.add(number)
                wanted = {name: bool(number >> bit & 1) for bit, name in enumerate(TOGGLES)}
                try:
                    reply = await connection.patch(token, {"email": wanted})
                except NoReply:
                    self.unanswered += 1
                    await self._wait(connection, token)
                    continue
                if reply.status == 200:
                    requested = {f"email.{name}": enabled for name, enabled in wanted.items()}
                    self.acknowledged.append(Answered(stream, reply.request_id, reply.preferences, requested))
                    possible = {number}
                else:
                    assert is_unavailable(reply), reply
                    self.refused += 1
                    await self._wait(connection, token)

    async def _wait(self, connection: KeepAlive, token: dict[str, str]) -> None:
        """Not every attempt while nobody is there shall use up a state that differs."""
        while True:
            try:
                reply = await connection.get(token)
                if reply.status == 200:
                    return
                assert is_unavailable(reply), reply
            except NoReply:
                pass
            await asyncio.sleep(0.02)


def is_unavailable(reply: Reply) -> bool:
    return (
        reply.status == 503
        and reply.headers["retry-after"].isdecimal()
        and b'"success":false' in reply.body
        and b'"code":"UNAVAILABLE"' in reply.body
        and reply.request_id.encode() in reply.body
    )


class Writers:
    def __init__(self, url: str) -> None:
        self.all = [Writer(url, f"user_{number}") for number in range(WRITERS)]

    @property
    def acknowledged(self) -> list[Answered]:
        return [answer for writer in self.all for answer in writer.acknowledged]

    async def more(self, number: int) -> None:
        """Return once so many more changes were acknowledged."""
        goal = len(self.acknowledged) + number
        async with asyncio.timeout(20):
            while len(self.acknowledged) < goal:  # noqa: ASYNC110 - an event a change would slow the writers down
                await asyncio.sleep(0.002)


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[Writers]:
    """While the context lasts, all writers write."""
    writers = Writers(url)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(writer.write()) for writer in writers.all]
        yield writers
        for task in tasks:
            task.cancel()


def faults_in(url: str, writers: Writers) -> list[str]:
    log = FoldedLog(url)
    untrue = [fault for writer in writers.all for fault in log.untrue(writer.acknowledged)]
    return log.faults + log.faults_of(writers.acknowledged) + log.missing(writers.acknowledged) + untrue


@soak
async def test_what_was_acknowledged_outlives_the_server(serve, database_url, record_property) -> None:
    # Given a server under load
    server = serve(log_level="warning")
    async with writing(server.url) as writers:
        for _ in range(KILLS):
            await writers.more(30)
            await asyncio.sleep(random.uniform(0, 0.02))
            # when it is killed in the middle of it, again and again, and started again
            server.kill()
            await asyncio.to_thread(server.start)
        await writers.more(1)
    # then each acknowledged change is recorded, once, and the read model is what the log folds to.
    assert faults_in(database_url, writers) == []
    unanswered = sum(writer.unanswered for writer in writers.all)
    assert unanswered >= KILLS
    figures(record_property, kills=KILLS, acknowledged=len(writers.acknowledged), unanswered=unanswered)
    assert_that_the_harness_sees(database_url, writers)


def assert_that_the_harness_sees(url: str, writers: Writers) -> None:
    """The same harness, with loss: an acknowledgement of nothing, a lost event, a row that is behind."""
    honest = writers.all[0].acknowledged
    false = replace(honest[-1], request_id="01JTBQH2FZ8K1RXC0WJ4Z9P3VM")
    honest.append(false)
    assert faults_in(url, writers) == [false.request_id]
    honest.pop()
    with psycopg.connect(url) as connection:
        last = [honest[-1].stream, honest[-1].stream]
        connection.execute("UPDATE current_preferences SET position = position - 1 WHERE originator_id = %s", last[:1])
        connection.commit()
        assert any("the read model has" in fault for fault in faults_in(url, writers))
        connection.execute(
            "DELETE FROM preferences_events WHERE originator_id = %s AND originator_version = "
            "(SELECT max(originator_version) - 1 FROM preferences_events WHERE originator_id = %s)",
            last,
        )
        connection.commit()
        assert any("a gap" in fault for fault in faults_in(url, writers))


@pytest.fixture
def own_postgres(
    ready_cluster: ReadyCluster, folder: Path, request: pytest.FixtureRequest
) -> Iterator[EmbeddedPostgres]:
    """A migrated PostgreSQL that a test may kill; parametrized with further settings."""
    data_dir = ready_cluster.copy_to(folder / str(abs(hash(request.node.name))))
    with EmbeddedPostgres(data_dir, settings=getattr(request, "param", {})) as postgres:
        asyncio.run(publish(postgres.url))
        yield postgres


@soak
async def test_what_was_acknowledged_outlives_postgres(own_postgres, record_property) -> None:
    # Given a server under load
    seconds_until_service: list[float] = []
    with Server(own_postgres.url, log_level="warning") as server:
        async with writing(server.url) as writers:
            for _ in range(KILLS):
                await writers.more(30)
                await asyncio.sleep(random.uniform(0, 0.02))
                # when its PostgreSQL is killed in the middle of it, again and again, and started again
                processes.kill(own_postgres.pid)
                await asyncio.to_thread(own_postgres.start)
                started = time.monotonic()
                await writers.more(1)
                seconds_until_service.append(time.monotonic() - started)
    # then each acknowledged change is recorded, once, and the read model is what the log folds to
    assert faults_in(own_postgres.url, writers) == []
    refused = sum(writer.refused for writer in writers.all)
    figures(
        record_property,
        kills=KILLS,
        acknowledged=len(writers.acknowledged),
        refused=refused,
        seconds_until_service=round(max(seconds_until_service), 2),
    )
    # and the server, which nobody restarted, served again within moments each time, and never failed to answer.
    assert max(seconds_until_service) < 5
    assert sum(writer.unanswered for writer in writers.all) == 0


LAZY = pytest.mark.parametrize(
    "own_postgres", [{"wal_writer_delay": "10s"}], indirect=True, ids=["with_a_lazy_wal_writer"]
)
"""PostgreSQL writes what nobody waits for to the disk every ten seconds, so that a loss can't be missed."""


async def lost_by_a_kill(postgres: EmbeddedPostgres, record_property) -> list[str]:
    """What was acknowledged under load, and isn't there after PostgreSQL was killed."""
    with Server(postgres.url, log_level="warning") as server:
        async with writing(server.url) as writers:
            await writers.more(100)
        processes.kill(postgres.pid)
    postgres.start()
    lost = FoldedLog(postgres.url).missing(writers.acknowledged)
    figures(record_property, acknowledged=len(writers.acknowledged), lost=len(lost))
    return lost


@LAZY
@pytest.mark.parametrize("level", ["off", "local"])
async def test_what_was_acknowledged_is_on_the_disk_whatever_the_database_says(
    own_postgres, level: str, record_property
) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute(f"ALTER DATABASE preferences SET synchronous_commit = {level}")
    assert not await lost_by_a_kill(own_postgres, record_property)


@LAZY
async def test_the_same_harness_sees_the_loss_of_commits_that_nobody_waited_for(own_postgres, record_property) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute(
            "CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN PERFORM set_config('synchronous_commit', 'off', true); RETURN NULL; END$$;"
            "CREATE TRIGGER hurry AFTER INSERT ON preferences_events EXECUTE FUNCTION hurry()"
        )
    assert await lost_by_a_kill(own_postgres, record_property)


@contextmanager
def killed(postgres: EmbeddedPostgres) -> Iterator[None]:
    processes.kill(postgres.pid)
    yield
    postgres.start()


@contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    pids = processes.freeze(postgres.pid)
    try:
        yield
    finally:
        processes.thaw(pids)


@pytest.mark.parametrize("gone", [killed, frozen])
async def test_while_postgres_is_gone_every_answer_is_a_503_within_a_second(
    own_postgres, gone: Callable, record_property
) -> None:
    seconds: dict[str, list[float]] = defaultdict(list)

    async def timed(name: str, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        async with KeepAlive(server.url) as connection:
            started = time.monotonic()
            async with asyncio.timeout(8):
                reply = await connection.request(method, path, {**bearer("user_ada"), **headers}, body)
            seconds[name].append(round(time.monotonic() - started, 3))
            return reply

    change = b'{"email": {"weekly_usage_digest": true}}'
    with Server(own_postgres.url, log_level="warning") as server:
        # Given a server that has served, and whose pool is full of connections
        assert (await timed("before", "PATCH", PATH, change)).status == 200
        for _ in range(5):
            replies = await asyncio.gather(*(timed("before", "GET", f"{PATH}/history") for _ in range(40)))
            assert {reply.status for reply in replies} == {200}
        with gone(own_postgres):
            # when PostgreSQL is gone, then whatever needs it answers 503
            for _ in range(3):
                replies = await asyncio.gather(
                    timed("GET", "GET", PATH),
                    timed("PATCH", "PATCH", PATH, change),
                    timed("history", "GET", f"{PATH}/history"),
                    timed("API key", "GET", PATH, Authorization=f"Bearer am_live_{'x' * 36}"),
                    timed("readyz", "GET", "/readyz"),
                )
                assert [reply for reply in replies if not is_unavailable(reply)] == []
                # and the process is well.
                assert (await timed("healthz", "GET", "/healthz")).status == 200
        # When it is back, then the server serves again by itself
        started = time.monotonic()
        while {
            reply.status
            for reply in (await timed("after", "PATCH", PATH, change), await timed("after", "GET", "/readyz"))
        } != {200}:
            assert time.monotonic() - started < 5
            await asyncio.sleep(0.05)
        back = time.monotonic() - started
    figures(
        record_property, seconds_until_service=round(back, 2), **{name: max(each) for name, each in seconds.items()}
    )
    # and nobody had to wait for more than a second; a machine that is busy otherwise may delay the odd one.
    assert {name: each for name, each in seconds.items() if median(each) > 1} == {}
    assert FoldedLog(own_postgres.url).faults == []
