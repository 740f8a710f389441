"""How far the followers are, as /readyz and /metrics tell it; and that they have no part in whether requests are served."""

from collections.abc import Callable

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.catalogues import publish
from tests.support.ledger import positions, record
from tests.support.server import Server


@pytest.fixture
async def standing(database_url: str) -> tuple[int, int]:
    """A paused follower and one that an event has stopped, in a log of five events; the second's and the third's position."""
    await publish(database_url)
    await record(database_url, 5)
    _, _, second, third, *_ = positions(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO followers (name, position, paused) VALUES ('held', %s, true)", [second])
        connection.execute(
            "INSERT INTO followers (name, position, failed_position, failure) VALUES ('stopped', %s, %s, 'KeyError')",
            [second, third],
        )
    return second, third


async def test_readiness_tells_of_followers_and_does_not_depend_on_them(
    serve: Callable[..., Server], standing: tuple[int, int]
) -> None:
    second, third = standing
    server = serve()
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        response = await http.get("/readyz")
    assert response.status_code == 200
    data = response.json()["data"]
    assert (data["database"], data["migrations"], data["keys"]) == ("ok", "ok", "ok")
    told = {follower["name"]: follower for follower in data["followers"]}
    assert all(follower.pop("lag_seconds") > 0 for follower in (told["held"], told["stopped"]))
    assert told["held"] == {"name": "held", "state": "paused", "position": second, "lag_events": 3}
    assert told["stopped"] == {
        "name": "stopped",
        "state": "failed",
        "position": second,
        "lag_events": 3,
        "failed_position": third,
    }


async def test_metrics_tell_the_same_to_prometheus(serve: Callable[..., Server], standing: tuple[int, int]) -> None:
    second, _ = standing
    server = serve(web_concurrency=2)
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        response = await http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    told = {
        (sample.labels["follower"], sample.name.removeprefix("preferences_follower_")): sample.value
        for sample in samples(response.text)
        if "follower" in sample.labels
    }
    assert told["held", "position"] == told["stopped", "position"] == second
    assert told["held", "lag_events"] == 3
    assert told["held", "lag_seconds"] > 0
    assert (told["held", "paused"], told["stopped", "paused"]) == (1, 0)
    assert (told["held", "failed"], told["stopped", "failed"]) == (0, 1)
    assert (told["held", "leading"], told["stopped", "leading"]) == (0, 0)


def test_without_the_database_metrics_say_that_nobody_knows_how_far_they_are(ready_cluster, folder) -> None:
    with EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres:
        with psycopg.connect(postgres.url) as connection:
            connection.execute("INSERT INTO followers (name, position) VALUES ('somebody', 0)")
        with Server(postgres.url) as server:
            assert follower_metrics(server) == {"known": {1.0}, "position": {0.0}}
            postgres.stop()
            assert follower_metrics(server) == {"known": {0.0}, "position": set()}
            postgres.start()
            assert follower_metrics(server) == {"known": {1.0}, "position": {0.0}}


def follower_metrics(server: Server) -> dict[str, set[float]]:
    response = httpx.get(f"{server.url}/metrics")
    assert response.status_code == 200
    names = {"known": "preferences_followers_known", "position": "preferences_follower_position"}
    return {
        short: {sample.value for sample in samples(response.text) if sample.name == name}
        for short, name in names.items()
    }


def samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


async def test_where_followers_can_not_be_asked_in_time_readiness_says_nothing_of_them(
    serve: Callable[..., Server], database_url: str
) -> None:
    await publish(database_url)
    server = serve()
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=10) as http,
        await psycopg.AsyncConnection.connect(database_url) as somebody,
    ):
        told = (await http.get("/readyz")).json()
        assert told["data"].pop("followers")
        await somebody.execute("LOCK TABLE followers")
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, told)
        assert "\npreferences_followers_known 0.0\n" in (await http.get("/metrics")).text
