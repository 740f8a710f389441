"""How busy the service is and what it has done, as /metrics tells it: whichever worker answers, and whichever has died."""

import asyncio
import os
import platform
import signal
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.catalogue import CATALOGUE
from tests.support.catalogues import publish
from tests.support.events_client import EVENTS, events_key
from tests.support.eventually import until
from tests.support.links import ONE_CLICK, PUBLIC_URL, SECRET, link
from tests.support.processes import workers
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

Labels = frozenset[tuple[str, str]]


def told(server: Server) -> dict[tuple[str, Labels], float]:
    """All samples of /metrics, by a connection of its own, so that any worker may answer."""
    return sampled(httpx.get(f"{server.url}/metrics", timeout=10))


def sampled(response: httpx.Response) -> dict[tuple[str, Labels], float]:
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(server: Server, name: str, **labels: str) -> float:
    return told(server).get((name, frozenset(labels.items())), 0.0)


def processes(server: Server) -> dict[str, float]:
    """When each process was started, by its name."""
    found = told(server).items()
    return {dict(labels)["process"]: at for (name, labels), at in found if name == "process_start_time_seconds"}


@pytest.fixture
def used(serve: Callable[..., Server], database_url: str) -> Server:
    """A service that three users, a sender and a mail provider have used, once each, and one user too often."""
    asyncio.run(publish(database_url))
    server = serve(
        change_rate_limit=1,
        role_scopes="admin=audit:read,preferences:read",
        unsubscribe_keys=SECRET,
        public_url=PUBLIC_URL,
    )
    admin = bearer("user_0", "org_math", role="admin")
    question = {"channel": "email", "toggle": "product_updates", "users": ["user_0", "user_1", "user_2", "user_9"]}
    with httpx.Client(base_url=server.url, timeout=10) as http:
        for number in range(3):
            assert http.get(PATH, headers=bearer(f"user_{number}")).status_code == 200
            body = {"email": {"product_updates": False, "weekly_usage_digest": True}}
            assert http.patch(PATH, json=body, headers=bearer(f"user_{number}")).status_code == 200
        assert http.patch(PATH, json=body, headers=bearer("user_2")).status_code == 429
        assert http.post("/v1/decisions", json=question, headers=admin).status_code == 200
        assert http.post(link("user_9"), data=ONE_CLICK).status_code == 200
    return server


def test_what_was_done_is_counted(used: Server) -> None:
    samples = told(used)
    counts = {
        (name.removeprefix("preferences_"), *dict(labels).values()): of
        for (name, labels), of in samples.items()
        if name.startswith("preferences_") and name.endswith("_total") and of
    }
    # Each of three users opened a stream with two choices, and the fourth one with one.
    assert counts.pop(("events_appended_total",)) == 3 * (1 + 2) + (1 + 1)
    assert counts.pop(("batches_total", "reads")) == counts.pop(("batch_items_total", "reads")) == 3
    assert counts.pop(("batches_total", "changes")) == counts.pop(("batch_items_total", "changes")) == 4
    assert counts.pop(("batches_total", "few_decisions")) == counts.pop(("batch_items_total", "few_decisions")) == 1
    assert counts.pop(("decisions_total", "denied")) == 3
    assert counts.pop(("decisions_total", "allowed")) == 1
    assert counts.pop(("unsubscribe_clicks_total", "one_click")) == 1
    assert counts.pop(("rate_limited_total", "changes")) == 1
    assert counts == {}


def test_what_goes_on_is_told(used: Server) -> None:
    headers = asyncio.run(events_key(used.database_url, "org_math"))
    assert value(used, "preferences_feed_readers") == 0
    with httpx.stream("GET", f"{used.url}{EVENTS}", headers={**headers, "accept": "text/event-stream"}) as reading:
        assert reading.status_code == 200
        until(lambda: value(used, "preferences_feed_readers") == 1)
        until(lambda: value(used, "preferences_http_connections") >= 2)
    until(lambda: value(used, "preferences_feed_readers") == 0)
    assert value(used, "preferences_feed_readers_max") == 100
    assert value(used, "preferences_pool_connections", pool="requests", state="used") == 0
    assert value(used, "preferences_pool_connections", pool="requests", state="idle") >= 1
    assert value(used, "preferences_pool_connections_max", pool="requests") == 8
    assert value(used, "preferences_pool_waiting", pool="requests") == 0


def test_what_runs_is_told(used: Server) -> None:
    [labels] = [dict(labels) for name, labels in told(used) if name == "preferences_build_info"]
    assert labels["python"] == platform.python_version()
    assert labels["catalogue"] == str(CATALOGUE.version)
    assert labels["version"] == "0.1.0"
    samples = told(used)
    process = frozenset({("process", "worker-0")})
    assert 0 < samples["process_cpu_seconds_total", process] < 60
    assert samples["process_resident_memory_bytes", process] > 2**20
    assert 3 < samples["process_open_fds", process] < samples["process_max_fds", process]
    assert abs(samples["process_start_time_seconds", process] - time.time()) < 300


def test_it_is_told_whether_the_service_can_serve(serve: Callable[..., Server], database_url: str) -> None:
    # Given a catalogue that isn't published, as one before its migration
    server = serve()
    ready = {
        name: value(server, "preferences_ready", dependency=name)
        for name in ("database", "migrations", "catalogue", "keys")
    }
    assert ready == {"database": 1, "migrations": 1, "catalogue": 0, "keys": 1}
    asyncio.run(publish(database_url))
    assert value(server, "preferences_ready", dependency="catalogue") == 1


async def test_who_waits_for_a_connection_is_told(used: Server, database_url: str) -> None:
    admin = bearer("user_0", "org_math", role="admin")
    async with (
        httpx.AsyncClient(base_url=used.url, headers=admin, timeout=30) as http,
        await psycopg.AsyncConnection.connect(database_url) as holding,
    ):
        # Given readers of the audit log whose statements don't end
        await holding.execute("LOCK TABLE audit_entries")
        reading = [asyncio.create_task(http.get("/v1/audit-log")) for _ in range(5)]
        await asyncio.to_thread(until, lambda: told_of_audit(used) == {"used": 2, "idle": 0, "waiting": 3})
        # then others are served,
        assert (await http.get(PATH)).status_code == 200
        await holding.rollback()
        # and so are they, once they can be.
        assert [answer.status_code for answer in await asyncio.gather(*reading)] == [200] * 5
        assert await asyncio.to_thread(told_of_audit, used) == {"used": 0, "idle": 2, "waiting": 0}


def told_of_audit(server: Server) -> dict[str, float]:
    samples = told(server)
    of = {
        "used": ("connections", {"state": "used"}),
        "idle": ("connections", {"state": "idle"}),
        "waiting": ("waiting", {}),
    }
    return {
        short: samples[f"preferences_pool_{name}", frozenset({"pool": "audit", **labels}.items())]
        for short, (name, labels) in of.items()
    }


def test_connections_that_fail_are_counted_and_so_are_those_who_got_none(used: Server, database_url: str) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    assert value(used, "preferences_pool_timeouts_total", pool="requests") == 0
    assert value(used, "preferences_pool_connection_failures_total", pool="requests") == 0
    with psycopg.connect(database_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        assert httpx.get(f"{used.url}{PATH}", headers=bearer("user_0"), timeout=10).status_code == 503
        assert value(used, "preferences_pool_timeouts_total", pool="requests") > 0
        assert value(used, "preferences_pool_connection_failures_total", pool="requests") > 0
        assert value(used, "preferences_ready", dependency="database") == 0
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    until(lambda: httpx.get(f"{used.url}{PATH}", headers=bearer("user_0"), timeout=10).status_code == 200)


@pytest.fixture
def two(serve: Callable[..., Server], database_url: str) -> Server:
    asyncio.run(publish(database_url))
    return serve(web_concurrency=2, followers="on", sweep_within=0)


def choose(server: Server, count: int) -> None:
    """Changes of as many users, on as many connections, so that both workers get some."""
    for number in range(count):
        answer = httpx.patch(
            f"{server.url}{PATH}",
            json={"email": {"product_updates": False}},
            headers=bearer(f"user_{number}"),
            timeout=10,
        )
        assert answer.status_code == 200


def replaced(before: dict[str, float], after: dict[str, float]) -> set[str]:
    assert after.keys() <= before.keys()
    return {name for name, at in after.items() if at > before[name]}


def test_each_worker_tells_of_all_and_a_new_one_takes_the_place_of_one_that_was_killed(two: Server) -> None:
    choose(two, 20)

    def counted() -> tuple[float, float, float]:
        samples = told(two)
        return (
            samples["preferences_events_appended_total", frozenset()],
            samples["preferences_batch_items_total", frozenset({("kind", "changes")})],
            samples["preferences_pool_connections_max", frozenset({("pool", "requests")})],
        )

    until(lambda: counted() == (40, 20, 16))
    assert [counted() for _ in range(10)] == [(40, 20, 16)] * 10
    before = processes(two)
    assert before.keys() == {"master", "worker-0", "worker-1", "follow"}
    # When one is killed and another one takes its place
    killed, _ = workers(two.process.pid)
    os.kill(killed, signal.SIGKILL)
    until(lambda: replaced(before, processes(two)))
    assert replaced(before, processes(two)) in ({"worker-0"}, {"worker-1"})
    # then no count has fallen, and nothing that the dead one had counts any more.
    until(lambda: [counted() for _ in range(10)] == [(40, 20, 16)] * 10)
    # And the new one goes on counting.
    choose(two, 30)
    until(lambda: counted() == (60, 50, 16))
