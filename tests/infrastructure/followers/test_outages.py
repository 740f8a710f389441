"""Followers while the database is away."""

import asyncio
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from domain.errors import Unavailable
from infrastructure.embedded.postgres import EmbeddedPostgres
from infrastructure.followers import runner as followers
from tests.support import processes
from tests.support.ledger import TABLE, Ledger, positions, record, written_down
from tests.support.running_followers import running, states, until


async def test_what_is_unavailable_is_waited_for_and_stops_nobody(url: str) -> None:
    class Impatient(Ledger):
        refusals = 3

        async def handle(self, events: Any, transaction: Any) -> None:
            await super().handle(events, transaction)
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("no broker")

    await record(url, 5)
    async with running(url, Impatient()):
        await until(lambda: len(written_down(url)) == 5)
    assert states(url)["ledger"][2] is None


async def test_a_follower_that_has_looked_waits_no_longer_after_the_next_outage_than_after_the_first(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut() -> list[int]:
        """The sessions of followers that were ended."""
        with psycopg.connect(url) as connection:
            query = (
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'preferences follower%'"
                " AND datname = current_database() AND query LIKE '%events_with_keys%' AND pg_terminate_backend(pid, 1000)"
            )
            return [pid for (pid,) in connection.execute(query)]

    monkeypatch.setattr(followers, "FIRST_PAUSE", 0.01)
    with capture_logs() as logged:
        # Given a follower of a log without any events, whose connection is cut time and again after it has looked,
        async with running(url, Ledger(), poll=0.02):
            for _ in range(6):
                await until(lambda: bool(cut()))
    # then it is back as soon each time.
    waited = [line["seconds"] for line in logged if line["event"] == "follower waits"]
    assert len(waited) >= 5
    assert {*waited} == {0.01}


async def test_a_connection_that_the_server_ends_is_made_anew(url: str) -> None:
    await record(url, 5)
    async with running(url, Ledger()):
        await until(lambda: len(written_down(url)) == 5)
        with psycopg.connect(url) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'preferences follower%' AND datname = current_database()"
            ).fetchall()
        assert ended == [(True,)]
        await record(url, 5)
        await until(lambda: len(written_down(url)) == 10)
    assert written_down(url) == positions(url)


@pytest.mark.parametrize("how", ["stops", "crashes"])
async def test_a_database_that_stops_or_crashes_is_waited_for(ready_cluster, folder, how: str) -> None:
    with EmbeddedPostgres(ready_cluster.copy_to(folder)) as postgres:
        with psycopg.connect(postgres.url) as connection:
            connection.execute(TABLE)
        await record(postgres.url, 5)
        async with running(postgres.url, Ledger()):
            await until(lambda: len(written_down(postgres.url)) == 5)
            if how == "crashes":
                processes.kill(postgres.pid)
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(postgres.start)
            await record(postgres.url, 5)
            await until(lambda: len(written_down(postgres.url)) == 10)
        assert written_down(postgres.url) == positions(postgres.url)
        assert states(postgres.url)["ledger"][2] is None
