"""Whatever dies when, a follower takes in every event once; and when its leader dies, or hangs, another one leads."""

import os
import random
import signal
import time

import psycopg
import pytest

from tests.support.eventually import until
from tests.support.figures import figures
from tests.support.following import following
from tests.support.ledger import TABLE, positions, record, written_down

KILLS, EVENTS = 50, 6000


@pytest.fixture
def url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLE)
    return database_url


def killed_again_and_again(url: str, *, torn: bool = False) -> tuple[list[int], int]:
    """What stands in the ledger of a follower that was killed at random moments, until all was done, or something was
    written twice; and how often it was killed."""
    end, kills = positions(url)[-1], 0
    while kills < KILLS and end not in (before := written_down(url)) and len(before) == len(set(before)):
        with following(url, torn=torn) as process:
            until(lambda: len(written_down(url)) > len(before))
            time.sleep(random.uniform(0, 0.02))
            process.kill()
        kills += 1
    return written_down(url), kills


async def test_killed_at_any_moment_it_takes_in_every_event_once_and_in_order(url: str, record_property) -> None:
    await record(url, EVENTS)
    end = positions(url)[-1]
    written, kills = killed_again_and_again(url)
    assert written == positions(url)[: len(written)]
    assert kills > 10
    with following(url) as process:
        until(lambda: end in written_down(url), 120)
        os.kill(process.pid, signal.SIGTERM)
        process.join(20)
        assert process.exitcode == 0
    assert written_down(url) == positions(url)
    figures(record_property, kills=kills, events=EVENTS)


async def test_an_effect_apart_from_its_position_is_caught_doubling(url: str, record_property) -> None:
    await record(url, EVENTS)
    written, kills = killed_again_and_again(url, torn=True)
    assert len(written) > len(set(written))
    figures(record_property, kills=kills, doubled=len(written) - len(set(written)))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
async def test_when_the_leader_dies_or_hangs_another_one_takes_over_within_ten_seconds(
    url: str, how: signal.Signals, record_property
) -> None:
    with following(url) as first:
        await record(url, 10)
        until(lambda: len(written_down(url)) == 10)
        with following(url) as second:
            until(lambda: waiting(url) == 2)
            os.kill(first.pid, how)
            began = time.monotonic()
            await record(url, 10)
            until(lambda: len(written_down(url)) == 20)
            seconds = time.monotonic() - began
            assert second.is_alive()
    assert written_down(url) == positions(url)
    figures(record_property, seconds_until_taken_over=round(seconds, 2))
    assert seconds < 10


def waiting(url: str) -> int:
    """How many runners are connected."""
    with psycopg.connect(url) as connection:
        query = (
            "SELECT FROM pg_stat_activity "
            "WHERE application_name LIKE 'preferences follower%' AND datname = current_database()"
        )
        return len(connection.execute(query).fetchall())
