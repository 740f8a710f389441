"""How far the log is signed, as /metrics tells it to those who have to notice when it isn't any more."""

import time
from collections.abc import Callable

import httpx
import psycopg

from infrastructure.embedded.postgres import EmbeddedPostgres
from tests.support.command import Command
from tests.support.eventually import until
from tests.support.server import PATH, Server
from tests.support.tokens import bearer


def choose(server: Server, **toggles: bool) -> None:
    assert httpx.patch(f"{server.url}{PATH}", json={"email": toggles}, headers=bearer("user_ada")).status_code == 200


def told(server: Server) -> dict[str, float]:
    """What the metrics tell of checkpoints, apart from the setting."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    prefix = "preferences_checkpoint_"
    found = {
        name.removeprefix(prefix): float(value)
        for name, value in (line.split() for line in lines if line.startswith(prefix))
    }
    found.pop("interval_seconds", None)
    return found


def test_events_wait_for_a_checkpoint_and_each_worker_tells_for_how_long(
    serve: Callable[..., Server], database_url: str, folder
) -> None:
    server = serve(web_concurrency=2)
    # Nothing is recorded, so nothing waits.
    assert told(server) == {"lag_seconds": 0}
    # What is recorded waits,
    choose(server, product_updates=False)
    until(lambda: told(server)["lag_seconds"] > 0.5)
    assert "last_timestamp_seconds" not in told(server)
    # until it is signed.
    command = Command(folder / "data", database_url)
    before = time.time()
    assert command("audit", "checkpoint").returncode == 0
    for _ in range(4):
        now = told(server)
        assert now["lag_seconds"] == 0
        assert before - 1 < now["last_timestamp_seconds"] < time.time() + 1
    # And what comes after that waits again.
    choose(server, delivery_alerts=False)
    until(lambda: told(server)["lag_seconds"] > 0)
    # An event that doesn't say when it was recorded has waited at least since the last checkpoint.
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE preferences_events SET state = 'x' WHERE notification_id > (SELECT max(position) FROM checkpoints)"
        )
    assert told(server)["lag_seconds"] >= time.time() - now["last_timestamp_seconds"] - 1


def test_where_no_checkpoint_can_be_written_the_lag_grows(serve: Callable[..., Server], folder) -> None:
    taken = folder / "taken"
    taken.touch()
    server = serve(
        followers="on", checkpoint_interval=1, checkpoint_file=taken / "checkpoints", data_dir=folder / "data"
    )
    choose(server, product_updates=False)
    until(lambda: b"no checkpoint could be written" in server.log())
    until(lambda: told(server)["lag_seconds"] > 3)
    # The control: where it can, it doesn't.
    taken.unlink()
    until(lambda: told(server)["lag_seconds"] == 0)


def test_without_the_database_it_is_not_told(ready_cluster, folder) -> None:
    with EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres, Server(postgres.url) as server:
        assert told(server) == {"lag_seconds": 0}
        postgres.stop()
        assert told(server) == {}
        postgres.start()
        until(lambda: told(server) == {"lag_seconds": 0})
