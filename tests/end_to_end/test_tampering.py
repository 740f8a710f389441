"""An attacker with every right in the database, at many random places in each way: a hundred in `make soak`.

The attacks are statements in a transaction, which the auditor looks at from within and which is rolled back.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg
import pytest

from application.evidence.differences import Kind
from tests.support.evidence import INSERT, Evidence, attacking, doctor, write_log
from tests.support.partitioned import one_table
from tests.support.soak import rounds, soak

EVENTS = 800
BETWEEN_CHECKPOINTS = 100
PLACES = rounds(16, 100)

FLIP_A_BIT = (
    "UPDATE preferences_events SET state = set_bit(state, %(bit)s %% (length(state) * 8), "
    "1 - get_bit(state, %(bit)s %% (length(state) * 8))) WHERE notification_id = %(position)s"
)

Connection = psycopg.Connection[Any]


class Copy(NamedTuple):
    """The tree and the checkpoints as they were once, with the last position that they knew of."""

    position: int
    tiles: list[tuple[Any, ...]]
    checkpoints: list[tuple[Any, ...]]


class Target(NamedTuple):
    evidence: Evidence
    positions: list[int]
    copies: list[Copy]

    def some(self, chance: random.Random, behind: int = 0) -> int:
        """A position somewhere, but not among the first ones or the last."""
        return chance.choice(self.positions[max(1, behind) : -1])


@pytest.fixture(scope="module")
def target(new_database: Callable[[], str]) -> Iterator[Target]:
    with TemporaryDirectory() as folder:
        url = new_database()
        evidence, copies = Evidence(url, Path(folder)), []
        positions = write_log(url, EVENTS)
        left = True
        while left:
            written, left = evidence.checkpointer.step(BETWEEN_CHECKPOINTS)
            if written is None:
                break
            with psycopg.connect(url) as connection:
                tiles = connection.execute("SELECT * FROM log_tiles").fetchall()
                checkpoints = connection.execute("SELECT * FROM checkpoints ORDER BY size").fetchall()
            copies.append(Copy(checkpoints[-1][1], tiles, checkpoints))
        yield Target(evidence, positions, copies)


def change(connection: Connection, target: Target, chance: random.Random) -> int:
    """One bit somewhere in an event's state, or another topic, version or stream."""
    position = target.some(chance)
    statement = chance.choice(
        [
            FLIP_A_BIT,
            "UPDATE preferences_events SET topic = topic || 'x' WHERE notification_id = %(position)s",
            "UPDATE preferences_events SET originator_version = 1000 WHERE notification_id = %(position)s",
            "UPDATE preferences_events SET sealed_actor = sealed_actor || 'x' WHERE notification_id = %(position)s",
            "UPDATE preferences_events SET originator_id = gen_random_uuid() WHERE notification_id = %(position)s",
        ]
    )
    connection.execute(statement, {"position": position, "bit": chance.randrange(10**6)})
    return position


def delete(connection: Connection, target: Target, chance: random.Random) -> int:
    position = target.some(chance)
    connection.execute("DELETE FROM preferences_events WHERE notification_id = %s", [position])
    return position


def insert(connection: Connection, target: Target, chance: random.Random) -> int:
    """A credible event, where a failed transaction left a gap."""
    taken = set(target.positions)
    return insert_at(
        chance.choice([place for place in range(2, target.positions[-1]) if place not in taken]),
        connection,
        target,
        chance,
    )


def insert_before_the_first(connection: Connection, target: Target, chance: random.Random) -> int:
    """The same where no position is: they count from 1."""
    return insert_at(chance.choice([0, -1, -7, -(2**63), -chance.randrange(2, 2**63)]), connection, target, chance)


def insert_at(position: int, connection: Connection, target: Target, chance: random.Random) -> int:
    row = connection.execute(
        "SELECT originator_id, originator_version + 100, topic, state, sealed_actor FROM preferences_events WHERE notification_id = %s",
        [target.some(chance)],
    ).fetchone()
    assert row is not None
    connection.execute(INSERT, [position, *row])
    return position


def swap(connection: Connection, target: Target, chance: random.Random) -> int:
    """Two events change their places in the order."""
    one, other = sorted(chance.sample(target.positions[1:-1], 2))
    for old, new in ((one, -1), (other, one), (-1, other)):
        connection.execute("UPDATE preferences_events SET notification_id = %s WHERE notification_id = %s", [new, old])
    return one


def cut(connection: Connection, target: Target, chance: random.Random) -> int:
    """Everything from a position on."""
    position = target.some(chance)
    connection.execute("DELETE FROM preferences_events WHERE notification_id >= %s", [position])
    return position


def restore(connection: Connection, target: Target, chance: random.Random) -> int:
    """The whole database as it was once: log, tree and checkpoints agree, as they did then."""
    copy = chance.choice(target.copies[:-1])
    behind = target.positions.index(copy.position)
    position = target.some(chance, behind + 1)
    connection.execute("DELETE FROM preferences_events WHERE notification_id >= %s", [position])
    put_back(connection, copy)
    return position


def put_back(connection: Connection, copy: Copy) -> None:
    connection.execute("DELETE FROM log_tiles")
    connection.execute("DELETE FROM checkpoints")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO log_tiles VALUES (%s, %s, %s, %s)", copy.tiles)
    cursor.executemany("INSERT INTO checkpoints VALUES (%s, %s, %s, %s, %s)", copy.checkpoints)


ATTACKS = {
    change: Kind.ALTERED,
    delete: Kind.MISSING,
    insert: Kind.ADDED,
    insert_before_the_first: Kind.ADDED,
    swap: Kind.REORDERED,
    cut: Kind.MISSING,
}


@soak
@pytest.mark.parametrize(("attack", "kind"), ATTACKS.items())
def test_what_was_done_to_the_log_is_named_with_its_position(attack, kind: Kind, target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        for place in range(PLACES):
            position = attack(connection, target, random.Random(place))
            verdict = target.evidence.verify(connection)
            connection.rollback()
            first = verdict.faults[0]
            assert (first.kind, first.first, first.last) == (kind, position, position), (place, first)
            assert verdict.altered


@soak
def test_an_event_before_the_first_position_is_named_whatever_was_done_to_the_tree(target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        for place in range(PLACES):
            position = insert_before_the_first(connection, target, random.Random(place))
            doctor(connection)
            verdict = target.evidence.verify(connection)
            connection.rollback()
            [fault] = verdict.faults
            assert (fault.kind, fault.first, fault.last) == (Kind.ADDED, position, position)
            assert verdict.altered


@one_table
def test_an_event_without_a_position_is_named_as_well(target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        connection.execute("ALTER TABLE preferences_events ALTER notification_id DROP NOT NULL")
        connection.execute(
            "INSERT INTO preferences_events (notification_id, originator_id, originator_version, topic, state) "
            "SELECT NULL, originator_id, 1000, topic, state FROM preferences_events LIMIT 1"
        )
        [fault] = target.evidence.verify(connection).faults
    assert fault.kind is Kind.ADDED


@soak
@pytest.mark.parametrize("attack", [*(attack for attack in ATTACKS if attack is not insert_before_the_first), restore])
def test_who_doctors_the_tree_as_well_is_held_to_what_was_signed(attack, target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        for place in range(PLACES):
            position = attack(connection, target, random.Random(place))
            if attack is not restore:
                doctor(connection)
            if place % 2:  # and to what was signed outside of the database alone
                connection.execute("DELETE FROM checkpoints")
            verdict = target.evidence.verify(connection)
            connection.rollback()
            [fault] = verdict.faults
            assert fault.kind is Kind.CONTRADICTED
            assert fault.first <= position <= fault.last, (place, fault)
            # No wider than from one checkpoint to the next.
            between = [known for known in target.positions if fault.first <= known <= fault.last]
            assert len(between) <= BETWEEN_CHECKPOINTS


def test_an_untouched_log_is_good(target: Target) -> None:
    verdict = target.evidence.verify()
    assert verdict.good
    assert not verdict.altered
    assert (verdict.events, verdict.uncovered, verdict.position) == (EVENTS, 0, target.positions[-1])
    assert verdict.checkpoints == EVENTS // BETWEEN_CHECKPOINTS
    assert verdict.covered is not None
    assert verdict.covered.position == target.positions[-1]


def test_in_a_transaction_that_does_nothing_the_auditor_finds_nothing(target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        assert target.evidence.verify(connection).good


def test_what_is_added_behind_the_last_checkpoint_is_said_not_to_be_covered(target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        connection.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) "
            "SELECT gen_random_uuid(), 1, topic, state FROM preferences_events LIMIT 7"
        )
        verdict = target.evidence.verify(connection)
    assert verdict.good
    assert verdict.uncovered == 7


def test_checkpoints_of_the_attackers_own_are_recognised(target: Target) -> None:
    with attacking(target.evidence.url) as connection, TemporaryDirectory() as folder:
        cut(connection, target, random.Random(0))
        doctor(connection)
        forger = Evidence(target.evidence.url, Path(folder))
        note = forger.signer.sign(f"{forger.origin}\n1\n{'A' * 43}=\nposition 1\ntime 2026-03-03T12:00:00+00:00\n")
        connection.execute("TRUNCATE checkpoints")
        connection.execute("INSERT INTO checkpoints VALUES (1, 1, '', %s)", [note])
        verdict = target.evidence.verify(connection)
    assert {fault.kind for fault in verdict.faults} == {Kind.CONTRADICTED, Kind.SETTINGS}
    assert verdict.altered


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_tiles SET hashes = set_byte(hashes, 40, 255 - get_byte(hashes, 40)) WHERE level = 0 AND index = 1",
        "UPDATE log_tiles SET positions = set_byte(positions, 15, 255) WHERE level = 0 AND index = 1",
        "UPDATE log_tiles SET hashes = set_byte(hashes, 40, 255 - get_byte(hashes, 40)) WHERE level = 1",
        "UPDATE log_tiles SET positions = NULL",
        "UPDATE log_tiles SET hashes = '' WHERE level = 0 AND index = 2",
        "DELETE FROM log_tiles WHERE level = 0 AND index = 2",
        "DELETE FROM log_tiles WHERE level = 0 AND index = 3",
        "DELETE FROM log_tiles WHERE level = 1",
        "TRUNCATE log_tiles",
    ],
)
def test_where_only_the_tree_was_altered_that_is_said(statement: str, target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        connection.execute(statement)
        verdict = target.evidence.verify(connection)
    [fault] = verdict.faults
    assert fault.kind is Kind.TILE
    assert "the log itself is as signed" in fault.sentence
    assert not verdict.altered


@pytest.mark.parametrize(
    ("statement", "phrase"),
    [
        ("UPDATE checkpoints SET note = replace(note, '300', '301') WHERE size = 300", "the signature of"),
        ("UPDATE checkpoints SET note = 'x' WHERE size = 300", "not a signed note"),
        ("UPDATE checkpoints SET size = 10000 WHERE size = 300", "out of order"),
    ],
)
def test_where_only_a_checkpoint_was_altered_that_is_said(statement: str, phrase: str, target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        connection.execute(statement)
        verdict = target.evidence.verify(connection)
    [fault] = verdict.faults
    assert fault.kind is Kind.CHECKPOINT
    assert phrase in fault.sentence
    assert not verdict.altered


@soak
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("doctored", [False, True])
def test_a_verification_that_goes_step_by_step_says_the_same(attack, doctored: bool, target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        for place in range(PLACES // 4):
            attack(connection, target, random.Random(place))
            if doctored and attack is not insert_before_the_first:
                doctor(connection)
            at_once = target.evidence.verify(connection)
            step_by_step = target.evidence.verify_by_steps(connection)
            connection.rollback()
            assert at_once.faults
            assert step_by_step == at_once.faults


def test_going_step_by_step_finds_nothing_in_an_untouched_log(target: Target) -> None:
    with attacking(target.evidence.url) as connection:
        assert target.evidence.verify_by_steps(connection) == []
