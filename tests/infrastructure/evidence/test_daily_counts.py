"""The sweep's check of the daily counts: it finds each one that is wrong, and nothing else, and the repair makes it right."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from application.evidence.sweep import MAX_FINDINGS, Finding, Subject
from infrastructure.evidence.sweep.daily_counts import DailyCountsLeg, look
from infrastructure.evidence.sweep.index_repair import compare_index
from infrastructure.evidence.sweep.leg import check, sweeping
from tests.support.audit_index import differences
from tests.support.daily_counts import wrong_counts
from tests.support.filled_log import Chance, put, take_in

SEED = 20261129
EVENTS = 700


@pytest.fixture
async def filled(database_url: str) -> str:
    """A database whose index has entries of nine days."""
    put(database_url, Chance(SEED, seconds=9 * 86_400).events(EVENTS))
    await take_in(database_url)
    return database_url


def run(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def at_once(url: str) -> list[Finding]:
    return check(url, DailyCountsLeg())


def in_small_steps(url: str) -> list[Finding]:
    findings: list[Finding] = []
    state, seen, steps = None, 0, 0
    with sweeping(url) as connection:
        while steps == 0 or state is not None:
            with connection.transaction():
                DailyCountsLeg().hold(connection)
                state, events, found = look(connection, state, 17)
            findings += found
            seen, steps = seen + events, steps + 1
    assert seen == run(url, "SELECT count(*) FROM audit_entries")[0][0]
    assert steps > 3
    return findings


WAYS: dict[str, str] = {
    "one too many": "UPDATE audit_daily_counts SET entries = entries + 1 WHERE {one}",
    "one too few": "UPDATE audit_daily_counts SET entries = entries - 1 WHERE {one}",
    "one gone": "DELETE FROM audit_daily_counts WHERE {one}",
    "all gone": "TRUNCATE audit_daily_counts",
    "another day": "UPDATE audit_daily_counts SET day = day + 100 WHERE {one}",
    "another class": "UPDATE audit_daily_counts SET class = class + 1000 WHERE {one}",
    "a class that isn't": "INSERT INTO audit_daily_counts VALUES (-5, '2026-03-03', 7)",
    "long ago": "INSERT INTO audit_daily_counts VALUES (3, '0001-01-02', 7)",
    "nothing there": "INSERT INTO audit_daily_counts VALUES (2147483647, '2999-03-03', 0), (3, '2026-01-01', -2)",
}


@pytest.mark.parametrize("sweep", [at_once, in_small_steps])
async def test_what_is_as_it_is_is_not_found(filled: str, sweep: Callable[[str], Sequence[Finding]]) -> None:
    assert sweep(filled) == []
    # Also while a part of the entries is not counted yet.
    run(filled, "DELETE FROM audit_daily_counts")
    run(filled, "UPDATE audit_uncounted SET up_to = 600")
    run(filled, "INSERT INTO audit_daily_counts SELECT class, (occurred_at AT TIME ZONE 'UTC')::date d, count(*) "
                "FROM audit_entries WHERE position > 600 GROUP BY class, d")  # fmt: skip
    assert wrong_counts(filled) == []
    assert sweep(filled) == []
    run(filled, "SELECT count_entries(250)")
    assert run(filled, "SELECT after, up_to FROM audit_uncounted") == [(250, 600)]
    assert sweep(filled) == []


@pytest.mark.parametrize("sweep", [at_once, in_small_steps])
@pytest.mark.parametrize("way", WAYS)
async def test_each_wrong_count_is_found_and_made_right(filled: str, sweep, way: str) -> None:
    counts = run(filled, "SELECT class, day FROM audit_daily_counts ORDER BY class, day")
    number, day = random.Random(way).choice(counts)
    run(filled, WAYS[way].format(one=f"class = {number} AND day = '{day}'"))
    wrong = {f"class {number} on {day}" for number, day, *_ in wrong_counts(filled)}
    if way == "nothing there":
        # A row with 0 says what no row says.
        wrong.remove("class 2147483647 on 2999-03-03")
    found = sweep(filled)
    assert {finding.subject for finding in found} == {Subject.AUDIT_INDEX}
    if way == "all gone":
        assert len(wrong) > 200
        assert len(found) > MAX_FINDINGS if sweep is at_once else len(wrong)
    else:
        assert {finding.place for finding in found} == wrong
        assert len(found) == len(wrong)
    # when the index is compared, nothing is changed, and when it is repaired, it is right.
    compared = compare_index(filled, repair=False)
    assert (compared.differing, compared.wrong_counts) == (0, len(wrong))
    assert wrong_counts(filled) != []
    assert all("`preferences rebuild audit-index` mends it" in sentence for sentence in compared.named[:MAX_FINDINGS])
    assert compare_index(filled, repair=True).wrong_counts == len(wrong)
    assert [one for one in wrong_counts(filled) if one[2] != 0] == []
    assert sweep(filled) == []
    assert compare_index(filled, repair=True).wrong_counts == 0


@pytest.mark.parametrize(
    "altered",
    [
        "UPDATE audit_entries SET class = (SELECT max(class) FROM audit_entries) WHERE position % 7 = 0",
        "UPDATE audit_entries SET occurred_at = occurred_at + interval '3 days' WHERE position % 7 = 0",
        "DELETE FROM audit_entries WHERE position % 7 = 0",
        "INSERT INTO audit_entries SELECT position + 100000, occurred_at, originator_id, class FROM audit_entries",
        "TRUNCATE audit_entries",
    ],
)
async def test_the_repair_of_altered_entries_leaves_right_counts(filled: str, altered: str) -> None:
    run(filled, altered)
    assert compare_index(filled, repair=True).differing > 0
    assert wrong_counts(filled) == []
    assert differences(filled) == []
    again = compare_index(filled, repair=True)
    assert (again.differing, again.wrong_counts) == (0, 0)


async def test_the_repair_counts_what_the_migration_left(filled: str) -> None:
    run(filled, "DELETE FROM audit_daily_counts")
    run(filled, "UPDATE audit_uncounted SET up_to = 700")
    assert compare_index(filled, repair=False).wrong_counts == 0
    assert run(filled, "SELECT after FROM audit_uncounted") == [(0,)]
    assert compare_index(filled, repair=True).wrong_counts == 0
    assert run(filled, "SELECT after = up_to FROM audit_uncounted") == [(True,)]
    assert wrong_counts(filled) == []
