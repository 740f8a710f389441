"""Where the benchmark says that processor time went, against real processes that take some."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from bench.contender import OURS
from bench.processor import Account
from bench.record import OWN, Record
from infrastructure.embedded.postgres import EmbeddedPostgres

BURN = "import sys, time\nwhile time.process_time() < {seconds}: pass\n"
FOLLOWER = f"{BURN.format(seconds=0.4)}print(flush=True)\nsys.stdin.read()"
# A server that has started a follower, which lives, and another process, which has ended.
SERVER = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN.format(seconds=0.2)!r}, "migrate"], check=True)
follower = subprocess.Popen([sys.executable, "-c", {FOLLOWER!r}, "follow"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
follower.stdout.readline()
{BURN.format(seconds=0.2)}
print(flush=True)
sys.stdin.read()
"""
COUNT = "SELECT count(*) FROM generate_series(1, 3000000)"


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    record = Record(OURS, database_url)
    yield record
    record.close()


def test_followers_are_not_the_server_and_ended_processes_are(record: Record, postgres: EmbeddedPostgres) -> None:
    # Given a server that has used 0.2 s, one that it started and that has ended 0.2 s, and a follower 0.4 s,
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdin
        server.stdout.readline()
        # when the benchmark reads the account,
        spent = Account(server.pid, postgres.pid, record).so_far()
        server.stdin.close()
    # then each has its own, in steps of the kernel's clock of 0.01 s, and the index has at least its follower's.
    assert 0.38 <= spent.server < 0.6
    assert 0.38 <= spent.followers < 0.6
    assert spent.index >= spent.followers


def test_postgresql_s_time_is_that_of_every_connection_but_the_benchmark_s(
    record: Record, postgres: EmbeddedPostgres, database_url: str
) -> None:
    account = Account(None, postgres.pid, record)
    before = account.so_far()
    # Given work of a connection that has closed,
    with psycopg.connect(database_url) as connection:
        connection.execute(COUNT)
    between = account.so_far()
    # and as much of one of the benchmark's own,
    with psycopg.connect(database_url, application_name=OWN) as connection:
        connection.execute(COUNT)
        after = account.so_far()
    # then only the first one counts.
    assert (between - before).postgres >= 0.1
    assert (after - between).postgres < (between - before).postgres / 2
    assert (after - before).index == 0


def test_the_connection_of_the_audit_index_counts_for_the_index(
    record: Record, postgres: EmbeddedPostgres, database_url: str
) -> None:
    account = Account(None, postgres.pid, record)
    with psycopg.connect(database_url, application_name="preferences follower audit-index") as connection:
        connection.execute(COUNT)
        spent = account.so_far()
    assert spent.index >= 0.1
