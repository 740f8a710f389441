"""How the log is held to its tiles and checkpoints; what attackers do: tests/end_to_end/test_tampering.py."""

from pathlib import Path

import psycopg
import pytest

from application.evidence.differences import MAX_DIFFERENCES, Kind
from application.evidence.verification import REPORT_EVERY, Verification
from domain.leaf import Leaf
from infrastructure.evidence.log_evidence import PostgresEvidence
from tests.support.evidence import Evidence, attacking, write_log
from tests.support.partitioned import one_table


@pytest.fixture
def evidence(database_url: str, tmp_path: Path) -> Evidence:
    return Evidence(database_url, tmp_path)


def test_an_empty_log_is_good(evidence: Evidence) -> None:
    verdict = evidence.verify()
    assert verdict.good
    assert (verdict.events, verdict.position, verdict.covered, verdict.uncovered) == (0, 0, None, 0)


def test_where_nothing_is_signed_nothing_is_proven(evidence: Evidence) -> None:
    write_log(evidence.url, 3)
    verdict = evidence.verify()
    [fault] = verdict.faults
    assert fault.kind is Kind.CHECKPOINT
    assert fault.sentence == "there is no checkpoint that the log could be held to"
    assert verdict.uncovered == 3
    assert not verdict.altered


def test_progress_is_told_and_the_end_of_it(evidence: Evidence) -> None:
    write_log(evidence.url, REPORT_EVERY + 1, gaps=1)
    evidence.checkpoint()
    told: list[int] = []
    with evidence.file.as_of_now() as notes, PostgresEvidence.open(evidence.url, notes) as stored:
        assert stored.about() >= 0
        Verification(stored, evidence.reader, evidence.origin, told.append).run()
    assert told == [REPORT_EVERY, REPORT_EVERY + 1]


def test_of_very_many_differences_the_first_are_named_and_the_rest_are_counted(evidence: Evidence) -> None:
    positions = write_log(evidence.url, 300)
    evidence.checkpoint()
    with attacking(evidence.url) as connection:
        connection.execute("UPDATE preferences_events SET topic = 'x'")
        faults = evidence.verify(connection).faults
    named = [fault for fault in faults if fault.kind is Kind.ALTERED]
    assert [fault.first for fault in named] == positions[:MAX_DIFFERENCES]
    assert named[-1].sentence.endswith("and 200 more differences behind it")


def test_an_event_that_was_moved_is_found_where_it_is_now(evidence: Evidence) -> None:
    positions = write_log(evidence.url, 300)
    evidence.checkpoint()
    free = next(place for place in range(positions[200], positions[-1]) if place not in positions)
    with attacking(evidence.url) as connection:
        connection.execute(
            "UPDATE preferences_events SET notification_id = %s WHERE notification_id = %s", [free, positions[20]]
        )
        first = evidence.verify(connection).faults[0]
    assert first.sentence == f"position {positions[20]} was reordered: what stood there stands at {free}"


@one_table
def test_an_event_that_stands_twice_at_a_position_was_added(evidence: Evidence) -> None:
    positions = write_log(evidence.url, 300)
    evidence.checkpoint()
    with attacking(evidence.url) as connection:
        connection.execute("DROP INDEX preferences_events_notification_id_idx")
        connection.execute(
            "INSERT INTO preferences_events SELECT gen_random_uuid(), 1, notification_id, state, topic, sealed_actor "
            "FROM preferences_events WHERE notification_id = %s",
            [positions[255]],
        )
        faults = evidence.verify(connection).faults
    assert Kind.ADDED in {fault.kind for fault in faults}
    assert faults[0].first == positions[255]


def test_a_log_that_grew_since_the_tree_did_is_good(evidence: Evidence) -> None:
    last = write_log(evidence.url, 600)[-1]
    evidence.checkpoint()
    write_log(evidence.url, 900, first=last + 1, seed=1)
    verdict = evidence.verify()
    assert verdict.good
    assert verdict.uncovered == 900


def test_checkpoints_that_were_signed_meanwhile_are_not_held_against_the_log(evidence: Evidence) -> None:
    last = write_log(evidence.url, 10)[-1]
    evidence.checkpoint()
    with evidence.file.as_of_now() as notes, PostgresEvidence.open(evidence.url, notes) as stored:
        assert stored.tree_size() == 10  # the moment that is looked at
        write_log(evidence.url, 10, first=last + 1, seed=1)
        evidence.checkpoint()
        verdict = Verification(stored, evidence.reader, evidence.origin).run()
    assert verdict.good
    assert verdict.events == 10


@pytest.fixture
def crashed(evidence: Evidence) -> Evidence:
    """The last checkpoint is in the file, and its keeper died before the database had it."""
    last = write_log(evidence.url, 300)[-1]
    evidence.checkpoint()
    write_log(evidence.url, 300, first=last + 1, seed=1)
    with psycopg.connect(evidence.url) as connection:
        tables = {
            table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("log_tiles", "checkpoints")
        }
        connection.commit()
        evidence.checkpoint()
        for table, rows in tables.items():
            connection.execute(f"TRUNCATE {table}")
            connection.cursor().executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)
    return evidence


def test_a_checkpoint_that_the_database_does_not_have_yet_is_no_cut_of_the_tree(crashed: Evidence) -> None:
    verdict = crashed.verify()
    assert verdict.faults == []
    assert verdict.covered is not None
    assert (verdict.covered.size, verdict.uncovered, verdict.checkpoints) == (600, 0, 2)


def test_what_only_that_checkpoint_covers_is_held_to_it(crashed: Evidence) -> None:
    with attacking(crashed.url) as connection:
        connection.execute(
            "UPDATE preferences_events SET topic = 'x' WHERE notification_id = "
            "(SELECT notification_id FROM preferences_events ORDER BY 1 OFFSET 400 LIMIT 1)"
        )
        verdict = crashed.verify(connection)
    [fault] = verdict.faults
    assert fault.kind is Kind.CONTRADICTED


def test_a_tree_that_was_cut_is_found_beside_it_as_well(crashed: Evidence) -> None:
    with attacking(crashed.url) as connection:
        connection.execute("DELETE FROM log_tiles WHERE level = 0 AND index = 1")
        [fault] = crashed.verify(connection).faults
    assert fault.sentence == "the tree was cut to 256 events; the log itself is as signed"


def test_the_log_is_read_as_it_is_stored_by_whoever_asks(evidence: Evidence) -> None:
    write_log(evidence.url, 20)
    with psycopg.connect(evidence.url) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state, sealed_actor "
            "FROM preferences_events ORDER BY notification_id"
        ).fetchall()
        with evidence.file.as_of_now() as notes:
            assert list(PostgresEvidence(connection, connection, notes).leaves(0, None)) == [
                Leaf(*row).data for row in rows
            ]
