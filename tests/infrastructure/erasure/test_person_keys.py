"""How a key fits what was sealed under it, and copies of the keys in files."""

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from infrastructure.erasure import key_copy, person_keys
from infrastructure.erasure.key_copy import NotACopy
from infrastructure.erasure.key_repair import KeyRepair
from infrastructure.erasure.person_keys import Fit, KeyedStream, SealedActor, fit
from infrastructure.log import log_table
from infrastructure.log.event_codec import encode
from tests.support.events import ADA, BOB, erased, opened, toggled
from tests.support.filled_log import key_of, put

OLD, NEW, OTHER = (bytes([number]) * 32 for number in (1, 2, 3))


def sealed(versions: Sequence[int], key: bytes) -> list[SealedActor]:
    events = [toggled(version, "news", True) for version in versions]
    return [SealedActor(event.originator_version, event.event_id, encode(event, key).sealed_actor) for event in events]


BEFORE = sealed([1, 2], OLD)
"""And version 3 is the erasure."""


@pytest.mark.parametrize(
    ("key", "since", "erasure", "before", "after", "expected"),
    [
        (NEW, 1, 0, [], sealed([1, 2], NEW), Fit.FITS),
        (NEW, 4, 3, BEFORE, sealed([4, 5], NEW), Fit.FITS),
        (NEW, 4, 3, BEFORE, sealed([6, 7], NEW), Fit.FITS),  # no event between the versions is sealed
        (None, None, 3, BEFORE, [], Fit.NOTHING_SEALED),
        (None, None, 3, BEFORE, sealed([4], NEW), Fit.MISSING),
        (OLD, 1, 3, BEFORE, sealed([4], NEW), Fit.NONE),
        (OTHER, 4, 3, BEFORE, sealed([4], NEW), Fit.NONE),
        (b"x", 4, 3, BEFORE, sealed([4], NEW), Fit.NONE),
        (OTHER, 9, 3, BEFORE, sealed([4], NEW), Fit.NONE),
        (NEW, 4, 3, BEFORE, [*sealed([4], NEW), *sealed([5], OTHER)], Fit.SOME),
        (NEW, 4, 3, BEFORE, [*sealed([4], OTHER), *sealed([5], NEW)], Fit.SOME),
        (NEW, 1, 3, BEFORE, sealed([4], NEW), Fit.SINCE),
        (NEW, 5, 3, BEFORE, sealed([4, 5], NEW), Fit.SINCE),
        (NEW, 9, 3, BEFORE, sealed([4, 5], NEW), Fit.SINCE),
        (NEW, 5, 3, BEFORE, [*sealed([4], OTHER), *sealed([5], NEW)], Fit.LOST),
        (OLD, 1, 3, BEFORE, [], Fit.ERASED),
        (OLD, 1, 0, [], [], Fit.UNUSED),
    ],
)
def test_each_way_in_which_a_key_fits_or_does_not(key, since, erasure, before, after, expected: Fit) -> None:
    assert fit(KeyedStream(ADA, key, since, erasure, before, after)) is expected


def test_an_event_without_an_id_is_opened_by_no_key() -> None:
    [actor] = sealed([1], NEW)
    assert fit(KeyedStream(ADA, NEW, 1, 0, [], [actor._replace(event_id="")])) is Fit.NONE


def test_all_streams_are_walked_with_what_was_sealed_since_the_last_erasure(database_url: str) -> None:
    put(database_url, [opened(), opened(BOB), toggled(2, "news", True), erased(3), toggled(4, "news", False)])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE preferences_events SET state = 'x' WHERE originator_id = %s", [BOB])
        connection.execute("INSERT INTO person_keys VALUES (gen_random_uuid(), 1, %s)", [OTHER])
        seen: list[int] = []
        found = {one.stream: one for one in person_keys.streams(connection, seen.append)}
        assert found.pop(ADA) == person_keys.stream(connection, ADA)
        assert fit(person_keys.stream(connection, ADA)) is Fit.SINCE  # the key is kept since version 1
        assert fit(found.pop(BOB)) is Fit.NONE
        [unused] = found.values()
        assert fit(unused) is Fit.UNUSED
        assert person_keys.stream(connection, unused.stream) == unused
        assert seen == [5]
        assert log_table.about(connection) >= 0


def test_a_repair_leaves_alone_what_fits_and_what_nothing_can_mend(database_url: str) -> None:
    put(database_url, [opened(), toggled(2, "news", True), opened(BOB)])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE person_keys SET key = %s WHERE originator_id = %s", [OTHER, BOB])
        kept = connection.execute("SELECT * FROM person_keys ORDER BY 1").fetchall()
    repaired = KeyRepair(database_url, {}).run()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM person_keys ORDER BY 1").fetchall() == kept
    assert repaired.unreadable == {BOB: [1]}
    assert [*repaired.keys_set, *repaired.versions_set, *repaired.destroyed] == []


def test_too_many_keys_to_try_are_said_to_be_untried_and_each_stream_gets_its_own(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database_url, [opened(), opened(BOB)])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE person_keys SET key = %s WHERE originator_id = %s", [key_of(BOB), ADA])
        connection.execute("UPDATE person_keys SET key = %s WHERE originator_id = %s", [key_of(ADA), BOB])
    monkeypatch.setattr("infrastructure.erasure.key_repair.PAIRS", 1)
    monkeypatch.setattr("infrastructure.erasure.key_repair.REMEMBERED", 0)
    repaired = KeyRepair(database_url, {ADA: key_of(ADA)}).run()
    assert repaired.untried
    assert repaired.keys_set == [ADA]
    assert list(repaired.unreadable) == [BOB]


def test_a_key_that_opens_what_was_erased_and_more_is_told_of(database_url: str) -> None:
    put(database_url, [opened(), erased(2), toggled(3, "news", True)])
    repaired = KeyRepair(database_url, {}).run()
    assert repaired.versions_set == repaired.reaching == [ADA]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT since_version FROM person_keys").fetchall() == [(3,)]


@pytest.mark.parametrize(
    "content",
    [
        f"{ADA},1,\\x{NEW.hex()}\n{BOB},7,\\x{OLD.hex()}\n",
        f"{ADA}\t1\t\\\\x{NEW.hex()}\n{BOB}\t7\t\\\\x{OLD.hex()}\n",
        f'originator_id,since_version,key\n"{ADA}","1","\\x{NEW.hex()}"\r\n{BOB},7,\\x{OLD.hex()}\n\n',
    ],
    ids=["csv", "text", "header"],
)
def test_every_form_of_a_copy_is_read(content: str, tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_text(content)
    assert key_copy.read(file) == {ADA: NEW, BOB: OLD}


@pytest.mark.parametrize("content", ["x\n", "a,b,c\n", f"{ADA},1,\\x00\n", f"{'-' * 36},1,\\x{NEW.hex()}\n"])
def test_any_other_file_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_text(content)
    with pytest.raises(NotACopy, match=r"line 1 of .* is no row of person_keys"):
        key_copy.read(file)
