"""The commands that read a standby while changes are measured."""

import os
from collections.abc import Iterator

import psycopg
import pytest

from bench.command import CommandFailed, spent_by
from bench.parts.replica import _reading
from bench.size import QUICK
from bench.stage import Stage
from bench.stored_log import index_log


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    # The benchmark gives this process the cores that are not the server's.
    cores = os.sched_getaffinity(0)
    try:
        with Stage.set_up(QUICK) as stage:
            yield stage
    finally:
        os.sched_setaffinity(0, cores)


def test_a_command_that_fails_makes_the_measurement_fail(stage: Stage) -> None:
    # Given a database without a log, which no command can read
    with stage.database() as url, pytest.raises(CommandFailed), _reading(stage, url, {}):
        pass


def test_what_was_read_leaves_nothing_behind(stage: Stage) -> None:
    with stage.log(2, 5) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            index_log(connection, 10)
        spent_by(stage, url, "audit", "checkpoint")
        before = {*stage.work.iterdir()}
        with _reading(stage, url, {}):
            pass
        assert {*stage.work.iterdir()} == before
