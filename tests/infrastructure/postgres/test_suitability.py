"""What the service asks of its database before it works with it, where readers of the log wait for standbys."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from infrastructure.postgres import suitability
from infrastructure.postgres.session import UnsuitableDatabase


def test_a_role_that_can_not_see_standbys_is_refused_only_where_readers_wait_for_them(database_url: str) -> None:
    # Given a role without any right of its own
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS blind")
        connection.execute("CREATE ROLE blind LOGIN PASSWORD 'secret'")
    url = make_conninfo(database_url, user="blind", password="secret")
    # when readers wait for nobody, then it will do,
    suitability.refuse(url, durable=False, trusted=True)
    # and otherwise the operator reads what to do.
    with pytest.raises(UnsuitableDatabase, match="GRANT pg_read_all_stats TO blind"):
        suitability.refuse(url, durable=False, trusted=True, replicated=True)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("GRANT pg_monitor TO blind")
    suitability.refuse(url, durable=False, trusted=True, replicated=True)


def test_a_database_whose_commits_wait_for_no_standby_is_told_and_not_refused(database_url: str) -> None:
    suitability.refuse(database_url, durable=False, trusted=True, replicated=True)
    [fault] = suitability.look_at(database_url, trusted=True, replicated=True).faults
    assert fault.weight is suitability.Weight.READY
    assert "synchronous_standby_names is empty" in fault.sentence
    assert suitability.look_at(database_url, trusted=True).faults == []
