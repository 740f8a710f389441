"""Evidence about one user: whole, offline, and to the byte."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from application.evidence.bundle import BadBundle, Bundle, Opened, open_bundle
from application.evidence.bundling import make_bundle
from application.evidence.checkpoints import Contradiction
from domain.events import CataloguePublished, NotificationToggled
from domain.provenance import ERASED
from domain.published_catalogues import STREAM as CATALOGUES
from infrastructure.evidence.bundle_source import PostgresBundleSource
from infrastructure.evidence.signed_note import NoteReader
from infrastructure.log.event_codec import decode_strictly as decode
from infrastructure.log.event_codec import encode
from tests.support.events import ADA, NOON, erased, opened, toggled
from tests.support.evidence import INSERT, ORIGIN, Evidence, write_log

KEY = bytes(range(32))
CATALOGUE = CataloguePublished(
    originator_id=CATALOGUES,
    originator_version=1,
    originator_topic="notification-preferences.catalogue",
    timestamp=NOON,
    event_id="01JTBQH2FZ8K1RXC0WJ4Z00000",
    channels=[{"name": "email", "toggles": [{"name": "product_updates", "default": True, "mandatory": False}]}],
    request_id="01JTBQH2FZ8K1RXC0WJ4Z00000",
    source="system",
    catalogue_version=1,
)
ADAS = [opened(), toggled(2, "product_updates", False), toggled(3, "product_updates", True, previous=False)]


def append(url: str, *events, key: bytes | None = KEY) -> None:
    with psycopg.connect(url) as connection:
        for event in events:
            stored = encode(event, key)
            connection.execute(INSERT.replace("%s", "nextval('preferences_events_notification_id_seq')", 1), [*stored])


def keep_key(url: str, key: bytes | None, since: int = 1) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM person_keys")
        if key is not None:
            connection.execute(
                "INSERT INTO person_keys (originator_id, key, since_version) VALUES (%s, %s, %s)", [ADA, key, since]
            )


def fill(evidence: Evidence) -> None:
    """Ada among others, over several tiles, with the catalogue she was told."""
    append(evidence.url, CATALOGUE)
    write_log(evidence.url, 400, first=10)
    append(evidence.url, *ADAS[:2])
    write_log(evidence.url, 300, first=2000, seed=1)
    append(evidence.url, *ADAS[2:])
    keep_key(evidence.url, KEY)


def make(evidence: Evidence, user: str = "user_ada") -> tuple[Bundle, Opened]:
    with PostgresBundleSource.open(evidence.url) as source:
        return make_bundle(source, evidence.reader, ORIGIN, decode, "org_math", user)


@pytest.fixture(scope="module")
def signed(new_database: Callable[[], str]) -> Iterator[tuple[Evidence, bytes]]:
    """A bundle that nobody has touched."""
    with TemporaryDirectory() as folder:
        evidence = Evidence(new_database(), Path(folder))
        fill(evidence)
        evidence.checkpoint(500)
        yield evidence, make(evidence)[0].render()


@pytest.fixture
def evidence(database_url: str, tmp_path: Path) -> Evidence:
    return Evidence(database_url, tmp_path)


def verified(data: bytes, reader: NoteReader) -> Opened:
    return open_bundle(Bundle.parse(data), reader, ORIGIN, decode)


def test_an_untouched_bundle_shows_everything(signed: tuple[Evidence, bytes]) -> None:
    evidence, data = signed
    found = verified(data, evidence.reader)
    assert found.events == ADAS
    assert [vars(event) for event in found.catalogues] == [vars(CATALOGUE)]
    assert found.checkpoint.size == 704


def test_no_byte_of_it_can_be_changed(signed: tuple[Evidence, bytes]) -> None:
    evidence, data = signed
    chance = random.Random(7)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BadBundle):
            verified(bytes(changed), evidence.reader)


def test_nothing_can_be_cut_off_or_added(signed: tuple[Evidence, bytes]) -> None:
    evidence, data = signed
    for changed in (b"", data[:-1], data[:-100], data + b"\n", b"\xef\xbb\xbf" + data):
        with pytest.raises(BadBundle):
            verified(changed, evidence.reader)


def test_only_its_signer_can_have_made_it(signed: tuple[Evidence, bytes], tmp_path: Path) -> None:
    _, data = signed
    other = Evidence("", tmp_path)
    with pytest.raises(BadBundle, match="the checkpoint is not signed with a key that is known here"):
        verified(data, other.reader)


def test_a_checkpoint_of_another_log_proves_nothing_about_this_one(signed: tuple[Evidence, bytes]) -> None:
    evidence, data = signed
    with pytest.raises(BadBundle, match=r"the checkpoint is one of example\.com/preferences"):
        open_bundle(Bundle.parse(data), evidence.reader, "example.com/other", decode)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: {"events": b.events[1:]}, "left out"),
        (lambda b: {"events": [b.events[0], b.events[2]]}, "left out"),
        (lambda b: {"events": b.events[::-1]}, "out of order"),
        (lambda b: {"events": [*b.events, b.catalogues[0]]}, "not of the user"),
        (lambda b: {"catalogues": b.events}, "not of the catalogue"),
        (lambda b: {"user": "user_bob"}, "not of the user"),
        (lambda b: {"organization": None}, "not of the user"),
        (lambda b: {"key": None}, "the person's key is missing"),
        (lambda b: {"key": KEY[::-1]}, "can't be read"),
        (lambda b: {"events": [], "key": KEY}, "a key that opens nothing"),
    ],
)
def test_what_is_true_but_not_the_whole_truth_is_refused(change, sentence: str, signed: tuple[Evidence, bytes]) -> None:
    evidence, data = signed
    bundle = Bundle.parse(data)
    with pytest.raises(BadBundle, match=sentence):
        verified(replace(bundle, **change(bundle)).render(), evidence.reader)


def test_the_last_events_can_be_left_out_and_nothing_is_said_of_what_came_after(signed: tuple[Evidence, bytes]) -> None:
    evidence, data = signed
    bundle = Bundle.parse(data)
    assert verified(replace(bundle, events=bundle.events[:2]).render(), evidence.reader).events == ADAS[:2]


@pytest.mark.parametrize(
    "document",
    ["[]", "null", "{}", '{"user": 1}'],
)
def test_what_is_no_bundle_is_refused(document: str) -> None:
    with pytest.raises(BadBundle, match="not an evidence bundle"):
        Bundle.parse(document.encode())


@pytest.mark.parametrize(("field", "value"), [("position", -1), ("index", True), ("version", 2**63), ("topic", 1)])
def test_fields_of_another_kind_are_refused(field: str, value: object, signed: tuple[Evidence, bytes]) -> None:
    document = json.loads(signed[1])
    document["events"][0][field] = value
    with pytest.raises(BadBundle, match="not an evidence bundle"):
        Bundle.parse(json.dumps(document).encode())


def test_of_a_user_who_chose_nothing_nothing_is_said(signed: tuple[Evidence, bytes]) -> None:
    bundle, found = make(signed[0], "user_nobody")
    assert (bundle.key, found.events) == (None, [])
    assert verified(bundle.render(), signed[0].reader) == found


def test_after_an_erasure_all_is_proven_but_who(evidence: Evidence) -> None:
    append(evidence.url, *ADAS, erased(4))
    keep_key(evidence.url, None)
    evidence.checkpoint()
    bundle, found = make(evidence)
    assert bundle.key is None
    assert [event.actor for event in found.events if isinstance(event, NotificationToggled)] == [ERASED, ERASED]
    assert len(found.events) == 4


def test_who_chose_again_after_an_erasure_is_known_from_then_on(evidence: Evidence) -> None:
    append(evidence.url, *ADAS, erased(4))
    append(evidence.url, toggled(5, "product_updates", False, previous=True), key=KEY[::-1])
    keep_key(evidence.url, KEY[::-1], since=5)
    evidence.checkpoint()
    bundle, found = make(evidence)
    assert bundle.key == KEY[::-1]
    users = [event.actor["user"] for event in found.events if isinstance(event, NotificationToggled)]
    assert users == ["erased", "erased", "user_ada"]


def test_a_click_on_a_link_after_an_erasure_is_proven_and_names_nobody(evidence: Evidence) -> None:
    append(evidence.url, *ADAS, erased(4))
    click = toggled(5, "product_updates", False, previous=True, source="one_click", actor=ERASED)
    append(evidence.url, click, key=KEY[::-1])
    keep_key(evidence.url, KEY[::-1], since=5)
    evidence.checkpoint()
    bundle, found = make(evidence)
    assert verified(bundle.render(), evidence.reader) == found
    assert found.events[-1] == click


def test_events_from_before_sealing_need_no_key(evidence: Evidence) -> None:
    append(evidence.url, *ADAS, key=None)
    evidence.checkpoint()
    bundle, found = make(evidence)
    assert bundle.key is None
    assert found.events == ADAS


def test_events_that_are_not_signed_yet_are_left_for_the_next_one(evidence: Evidence) -> None:
    append(evidence.url, *ADAS[:2])
    keep_key(evidence.url, KEY)
    evidence.checkpoint()
    append(evidence.url, ADAS[2])
    assert make(evidence)[1].events == ADAS[:2]
    evidence.checkpoint()
    assert make(evidence)[1].events == ADAS


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE preferences_events SET state = set_byte(state, 30, 65) WHERE originator_id = '{ada}'",
        "DELETE FROM preferences_events WHERE originator_id = '{ada}' AND originator_version = 2",
        "UPDATE preferences_events SET notification_id = 5 WHERE originator_id = '{ada}' AND originator_version = 2",
        "UPDATE preferences_events SET state = '\\xff' WHERE originator_id = '{ada}'",
        "UPDATE person_keys SET key = sha256(key)",
        "TRUNCATE person_keys",
        "TRUNCATE log_tiles",
        "UPDATE log_tiles SET positions = NULL",
        "UPDATE checkpoints SET note = 'x'",
        "TRUNCATE checkpoints",
    ],
)
def test_of_a_log_that_was_altered_no_bundle_is_made(statement: str, evidence: Evidence) -> None:
    fill(evidence)
    evidence.checkpoint()
    with psycopg.connect(evidence.url) as connection:
        connection.execute(statement.format(ada=ADA))
    with pytest.raises(Contradiction):
        make(evidence)


def test_of_a_stream_with_an_event_where_none_can_be_no_bundle_is_made(evidence: Evidence) -> None:
    fill(evidence)
    evidence.checkpoint()
    with psycopg.connect(evidence.url) as connection:
        connection.execute(INSERT, [-7, *encode(toggled(4, "product_updates", False, previous=True), KEY)])
    with pytest.raises(Contradiction, match="an event was added at position -7, where none can be"):
        make(evidence)


def test_of_events_that_say_that_they_are_of_somebody_else_no_bundle_is_made(evidence: Evidence) -> None:
    # Given a log that was signed with an event of another organization in the user's stream
    append(evidence.url, CATALOGUE, ADAS[0], toggled(2, "product_updates", False, organization="org_chess"))
    keep_key(evidence.url, KEY)
    evidence.checkpoint()
    with pytest.raises(Contradiction, match="an event says that it is not of the user"):
        make(evidence)
