"""What is signed, and what never is."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from application.evidence.checkpoints import Contradiction, SignedEventsLost
from application.evidence.foreign_checkpoint import ForeignCheckpoint
from domain.checkpoint import Checkpoint
from domain.merkle import EMPTY_ROOT, TILE, consistency_proof, continues
from infrastructure.evidence.log_tree import PostgresTree
from tests.support.evidence import NOW, ORIGIN, Evidence, write_log
from tests.support.ledger import record
from tests.support.positions import execute, move_elsewhere


@pytest.fixture
def evidence(database_url: str, tmp_path: Path) -> Evidence:
    return Evidence(database_url, tmp_path)


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def test_an_empty_log_is_not_signed(evidence: Evidence) -> None:
    assert evidence.checkpoint() == []
    assert evidence.file.last() is None


def test_what_is_signed_is_the_log_to_its_end(evidence: Evidence, database: psycopg.Connection) -> None:
    positions = write_log(evidence.url, 10)
    [checkpoint] = evidence.checkpoint()
    assert checkpoint == Checkpoint(ORIGIN, 10, checkpoint.root, positions[-1], NOW)
    assert checkpoint.root != EMPTY_ROOT
    kept = evidence.file.last()
    assert kept is not None
    assert Checkpoint.parse(evidence.reader.open(kept.note)) == checkpoint
    [row] = database.execute("SELECT size, position, root, note, created_at FROM checkpoints").fetchall()
    assert row == (10, positions[-1], checkpoint.root, kept.note, NOW)


def test_where_nothing_is_new_nothing_is_written(evidence: Evidence) -> None:
    write_log(evidence.url, 10)
    assert len(evidence.checkpoint()) == 1
    before = evidence.path.read_bytes()
    assert evidence.checkpoint() == []
    assert evidence.path.read_bytes() == before


@pytest.mark.parametrize("sizes", [[1, 2, 253, 1, 256, 1], [256, 256], [255, 258], [600]])
def test_however_the_log_grows_the_tree_is_the_same(sizes: list[int], evidence: Evidence) -> None:
    checkpoints, position = [], 0
    for number, size in enumerate(sizes):
        position = write_log(evidence.url, size, first=position + 1, seed=number)[-1]
        checkpoints += evidence.checkpoint()
    assert [checkpoint.size for checkpoint in checkpoints] == [sum(sizes[: n + 1]) for n in range(len(sizes))]
    assert evidence.verify().good
    assert evidence.verify().checkpoints == len(sizes)
    with psycopg.connect(evidence.url) as connection:
        edge, positions = PostgresTree(connection).edge()
    assert len(positions) == len(edge[0].hashes) * 8


def test_a_long_backlog_is_signed_step_by_step(evidence: Evidence) -> None:
    write_log(evidence.url, 3 * TILE)
    assert [checkpoint.size for checkpoint in evidence.checkpoint(TILE + 1)] == [TILE + 1, 2 * TILE + 2, 3 * TILE]
    assert evidence.verify().good


def test_every_checkpoint_continues_the_one_before(evidence: Evidence) -> None:
    write_log(evidence.url, 700)
    one, *others = evidence.checkpoint(100)
    with psycopg.connect(evidence.url) as connection:
        entries = PostgresTree(connection).entries
        for other in others:
            proof = consistency_proof(one.size, other.size, entries)
            assert continues(one.root, one.size, other.root, other.size, proof)


@pytest.mark.parametrize(
    ("statement", "phrase"),
    [
        ("DELETE FROM preferences_events WHERE notification_id >= {last}", "the end of the log"),
        ("UPDATE preferences_events SET topic = 'x' WHERE notification_id = {last}", "the end of the log"),
        ("TRUNCATE preferences_events", "the end of the log"),
        ("TRUNCATE preferences_events, log_tiles", "were signed on 2026-03-03 at 12:00:00 UTC"),
        (
            "UPDATE log_tiles SET hashes = set_byte(hashes, 0, 1 + get_byte(hashes, 0) % 9) WHERE level = 1",
            "not what was",
        ),
        ("UPDATE log_tiles SET positions = NULL", "the tree of the log is damaged"),
        (
            "UPDATE log_tiles SET positions = substring(positions FOR 9) WHERE level = 0",
            "the tree of the log is damaged",
        ),
        ("UPDATE log_tiles SET hashes = substring(hashes FOR 64) WHERE level = 0", "the tree of the log is damaged"),
        ("UPDATE log_tiles SET hashes = substring(hashes FOR 40)", "the tree of the log is damaged"),
        ("UPDATE log_tiles SET hashes = ''", "the tree of the log is damaged"),
        ("UPDATE log_tiles SET hashes = hashes || hashes WHERE level = 1", "the tree of the log is damaged"),
        ("DELETE FROM log_tiles WHERE level = 0", "the tree of the log is damaged"),
        ("DELETE FROM log_tiles WHERE level = 1", "the tree of the log is damaged"),
        (
            "ALTER TABLE log_tiles ALTER hashes DROP NOT NULL; UPDATE log_tiles SET hashes = NULL",
            "the tree of the log is damaged",
        ),
        ("UPDATE checkpoints SET note = 'x'", "the last checkpoint in the database is not a signed note"),
        (
            "INSERT INTO preferences_events SELECT originator_id, 1000, -7, state, topic FROM preferences_events LIMIT 1",
            "an event was added at position -7, where none can be",
        ),
    ],
)
def test_what_is_not_as_it_was_is_never_signed(
    statement: str, phrase: str, evidence: Evidence, database: psycopg.Connection
) -> None:
    last = write_log(evidence.url, 300)[-1]
    evidence.checkpoint()
    before = evidence.path.read_bytes()
    write_log(evidence.url, 10, first=last + 1, seed=1)
    database.execute(statement.format(last=last))
    for _ in range(2):
        with pytest.raises(Contradiction, match=phrase):
            evidence.checkpoint()
    assert evidence.path.read_bytes() == before
    assert database.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)


def test_a_database_that_was_put_back_and_went_on_is_not_signed(
    evidence: Evidence, database: psycopg.Connection
) -> None:
    """The file outside remembers what the database no longer knows."""
    last = write_log(evidence.url, 100)[-1]
    evidence.checkpoint()
    saved = [database.execute(f"SELECT * FROM {name}").fetchall() for name in ("log_tiles", "checkpoints")]
    write_log(evidence.url, 100, first=last + 1, seed=1)
    evidence.checkpoint()

    database.execute("DELETE FROM preferences_events WHERE notification_id > %s", [last])
    database.execute("TRUNCATE log_tiles, checkpoints")
    database.cursor().executemany("INSERT INTO log_tiles VALUES (%s, %s, %s, %s)", saved[0])
    database.cursor().executemany("INSERT INTO checkpoints VALUES (%s, %s, %s, %s, %s)", saved[1])
    with pytest.raises(Contradiction, match="the log has 100 events"):
        evidence.checkpoint()
    write_log(evidence.url, 150, first=last + 1, seed=2)
    with pytest.raises(Contradiction, match="the first 200 events"):
        evidence.checkpoint()


def test_a_lost_tree_is_made_again_and_held_to_what_was_signed(
    evidence: Evidence, database: psycopg.Connection
) -> None:
    write_log(evidence.url, 700)
    evidence.checkpoint()
    database.execute("TRUNCATE log_tiles")
    assert evidence.checkpoint(100) == []
    assert evidence.verify().good


def test_what_was_published_but_not_committed_is_continued(evidence: Evidence, database: psycopg.Connection) -> None:
    last = write_log(evidence.url, 300)[-1]
    evidence.checkpoint()
    database.execute("TRUNCATE checkpoints, log_tiles")
    write_log(evidence.url, 1, first=last + 1, seed=1)
    assert [checkpoint.size for checkpoint in evidence.checkpoint()] == [301]
    assert evidence.verify().good


def test_the_checkpoints_of_another_log_are_not_continued(evidence: Evidence, tmp_path: Path) -> None:
    write_log(evidence.url, 3)
    evidence.path.write_text(evidence.signer.sign(note_text("example.com/other")) + "\n")
    with pytest.raises(ForeignCheckpoint, match=rf"is one of example\.com/other, and AUDIT_ORIGIN, .*, is {ORIGIN}"):
        evidence.checkpoint()
    verdict = evidence.verify()
    assert "is one of example.com/other" in verdict.faults[0].sentence
    assert verdict.misfit
    assert not verdict.altered


def test_a_key_that_is_not_known_here_is_a_mistake_in_the_settings(
    evidence: Evidence, database: psycopg.Connection, tmp_path: Path
) -> None:
    """A second machine that made a key of its own, and a new key whose former one isn't named."""
    last = write_log(evidence.url, 3)[-1]
    evidence.checkpoint()
    write_log(evidence.url, 3, first=last + 1, seed=1)
    for folder in (tmp_path / "second", tmp_path):
        other = Evidence(evidence.url, folder)
        with pytest.raises(ForeignCheckpoint) as refused:
            other.checkpoint()
        sentence = str(refused.value)
        assert sentence.startswith("the last checkpoint in the database was signed with example.com/preferences+")
        assert f"+{evidence.signer.verifier.hash.hex()}, and the keys that are known here are" in sentence
        assert f"+{other.signer.verifier.hash.hex()}: set AUDIT_SIGNING_KEY" in sentence
        verdict = other.verify()
        assert verdict.misfit
        assert len(verdict.faults) == sum(verdict.kept.values())
    assert database.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)
    assert not (tmp_path / "second" / "checkpoints").exists()
    # Its own settings find nothing wrong.
    assert len(evidence.checkpoint()) == 1


def test_a_key_nobody_knows_in_the_database_alone_is_an_alarm(
    evidence: Evidence, database: psycopg.Connection, tmp_path: Path
) -> None:
    """Or else an attacker could turn the alarm into a remark on the settings."""
    last = write_log(evidence.url, 3)[-1]
    evidence.checkpoint()
    database.execute("UPDATE checkpoints SET note = %s", [Evidence("", tmp_path / "x").signer.sign(note_text(ORIGIN))])
    write_log(evidence.url, 3, first=last + 1, seed=1)
    with pytest.raises(
        Contradiction, match=r"either the database's was exchanged, or DATABASE_URL and CHECKPOINT_FILE"
    ):
        evidence.checkpoint()


def test_a_signature_that_only_pretends_to_be_ours_is_an_alarm(
    evidence: Evidence, database: psycopg.Connection
) -> None:
    write_log(evidence.url, 3)
    evidence.checkpoint()
    evidence.path.unlink()
    database.execute("UPDATE checkpoints SET note = replace(note, 'position', 'Position')")
    with pytest.raises(Contradiction, match=r"the last checkpoint in the database is the signature of .* is wrong"):
        evidence.checkpoint()


def test_what_another_key_signed_and_is_no_checkpoint_is_an_alarm(evidence: Evidence, tmp_path: Path) -> None:
    write_log(evidence.url, 3)
    evidence.path.write_text(Evidence("", tmp_path / "x").signer.sign("anything\n") + "\n")
    with pytest.raises(Contradiction, match="is not the text of a checkpoint"):
        evidence.checkpoint()


def note_text(origin: str) -> str:
    return f"{origin}\n1\n{'A' * 43}=\nposition 1\ntime 2026-03-03T12:00:00+00:00\n"


def fail_over(evidence: Evidence, database: psycopg.Connection) -> tuple[int, int]:
    """Sign more than a standby has, and go on upon that. The last position that the standby has, and the last that was signed."""
    name = f"{database.info.dbname}_standby"
    url = evidence.url.replace(f"/{database.info.dbname}?", f"/{name}?")
    last = write_log(evidence.url, 10)[-1]
    evidence.checkpoint()
    dbname = database.info.dbname
    database.close()
    with psycopg.connect(evidence.url.replace(f"/{dbname}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {dbname}".encode())
    signed = write_log(evidence.url, 10, first=last + 1, seed=1)[-1]
    evidence.checkpoint()
    evidence.use(url)
    return last, signed


async def test_signed_events_that_were_lost_in_a_failover_are_an_alarm_in_words_of_its_own(
    evidence: Evidence, database: psycopg.Connection
) -> None:
    # Given a standby that lacks what was signed last, and a log that was continued on it
    kept, signed = fail_over(evidence, database)
    move_elsewhere(evidence.url)
    for events in (2, 30):
        await record(evidence.url, events)
        # then nothing is signed, whether the log is shorter by now or longer, and the loss is named,
        with pytest.raises(
            SignedEventsLost, match=r"was continued .*, and lost the events after position \d+: events up to"
        ):
            evidence.checkpoint()
        # and the verification names the positions that are lost, and none that is there.
        verdict = evidence.verify()
        assert (verdict.lost, verdict.altered, verdict.good) == (True, False, False)
        [fault] = verdict.faults
        assert fault.sentence.startswith(
            f"positions {kept + 1} to {signed} were signed on 2026-03-03 12:00:00 UTC and are lost: the log was continued on another server"
        )
        assert (fault.first, fault.last) == (kept + 1, signed)


def test_a_log_that_lacks_signed_events_and_says_nothing_of_it_was_altered(
    evidence: Evidence, database: psycopg.Connection
) -> None:
    """The control."""
    fail_over(evidence, database)
    with pytest.raises(Contradiction, match="the log has 10 events") as raised:
        evidence.checkpoint()
    assert not isinstance(raised.value, SignedEventsLost)
    assert evidence.verify().altered


async def test_a_continuation_that_can_not_be_read_explains_nothing(
    evidence: Evidence, database: psycopg.Connection
) -> None:
    fail_over(evidence, database)
    move_elsewhere(evidence.url)
    await record(evidence.url, 2)
    execute(
        evidence.url,
        "UPDATE preferences_events SET state = 'x' WHERE topic = 'notification-preferences.continued'",
    )
    with pytest.raises(Contradiction) as raised:
        evidence.checkpoint()
    assert not isinstance(raised.value, SignedEventsLost)
