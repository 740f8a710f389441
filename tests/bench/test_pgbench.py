"""The tally of the contenders that pgbench runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench.cores import Cores
from bench.pgbench import Pgbench
from bench.processor import Account
from infrastructure.embedded.postgres import EmbeddedPostgres

DROPPING = """
CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RETURN CASE WHEN NEW.notification_id % 100 = 0 THEN NULL ELSE NEW END; END $$;
CREATE TRIGGER dropping BEFORE INSERT ON preferences_events FOR EACH ROW EXECUTE FUNCTION drop_some();
"""


@pytest.fixture
def pgbench(database_url: str, folder: Path, postgres: EmbeddedPostgres) -> Any:
    stage: Any = SimpleNamespace(
        work=folder, cores=Cores.of_this_machine(), account=lambda record: Account(None, postgres.pid, record)
    )
    pgbench = Pgbench("database", database_url, stage)
    yield pgbench
    pgbench.record.close()


def test_a_transaction_without_its_event_makes_a_run_void(pgbench: Pgbench, database_url: str) -> None:
    assert pgbench.run("PATCH", 1, 0.1).faults == []
    # Given a database that loses an event in a hundred,
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(DROPPING)
    # then a run is void, and says what it counted.
    run = pgbench.run("PATCH", 1, 0.1)
    assert "transactions" in run.faults[0]
    assert run.processor.server > 0
    assert run.processor.postgres > 0
