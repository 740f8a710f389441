"""Stored events are a contract: what was written once is read for ever, by us and by the library."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.persistence import DatetimeAsISO, JSONTranscoder, Mapper, StoredEvent, UUIDAsHex

from application.log import UnreadableEvent
from domain import preferences as _registers_the_topics  # noqa: F401 - importing it is what registers them
from domain.catalogue import CATALOGUE
from domain.events import CataloguePublished, NotificationToggled
from domain.provenance import ERASED, UNREADABLE
from domain.published_catalogues import catalogue_of, channels_of
from infrastructure.log import event_codec
from infrastructure.log.event_codec import decode, encode
from tests.support.catalogues import published
from tests.support.events import KEY, TRACEPARENT, catalogue_published, continued, erased, opened, toggled

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "events").glob("*.json"))
EVENTS = [
    opened(),
    opened(organization=None),
    toggled(2, "news", True),
    toggled(
        3, "news", False, previous=True, actor={"user": "user_ada", "session": "sess_1", "impersonator": "user_grace"}
    ),
    opened(traceparent=TRACEPARENT),
    toggled(2, "news", True, traceparent=TRACEPARENT),
    erased(4),
    continued(406),
    catalogue_published(),
    published(CATALOGUE),
]


@pytest.fixture
def library() -> Mapper[UUID]:
    transcoder = JSONTranscoder()
    transcoder.register(UUIDAsHex())
    transcoder.register(DatetimeAsISO())
    return Mapper(transcoder)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_comes_back_as_it_was(event) -> None:
    assert decode(*encode(event)) == event


@pytest.mark.parametrize("event", EVENTS)
def test_a_sealed_event_comes_back_as_it_was_and_without_its_key_nobody_can_say_who_acted(event) -> None:
    stored = encode(event, KEY)
    assert decode(*stored, KEY) == event
    assert b"user_" not in stored.state + stored.sealed_actor
    without, known = vars(decode(*stored)), vars(decode(*encode(event)))
    assert without == ({**known, "actor": ERASED} if "actor" in known else known)


@pytest.mark.parametrize("key", [bytes(32), b"", b"short"])
def test_under_a_foreign_key_the_actor_is_unreadable_and_the_event_is_not(key: bytes) -> None:
    event = toggled(2, "news", True)
    read = decode(*encode(event, KEY), key)
    assert vars(read) == {**vars(decode(*encode(event))), "actor": UNREADABLE}


def test_for_evidence_an_actor_under_a_foreign_key_is_an_error_that_names_its_place() -> None:
    with pytest.raises(UnreadableEvent, match="version 2"):
        decode(*encode(toggled(2, "news", True), KEY), bytes(32), strictly=True)


@pytest.mark.parametrize("event", EVENTS)
def test_the_library_reads_what_we_write(event, library: Mapper[UUID]) -> None:
    read = library.to_domain_event(StoredEvent(*encode(event)[:4]))
    assert type(read) is type(event)
    assert read == event


@pytest.mark.parametrize("event", EVENTS)
def test_we_read_what_the_library_writes(event, library: Mapper[UUID]) -> None:
    stored = library.to_stored_event(event)
    assert decode(stored.originator_id, stored.originator_version, stored.topic, stored.state) == event


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_form_that_was_ever_stored_still_loads(path: Path) -> None:
    golden = json.loads(path.read_text())
    stored = golden["stored"]
    state = json.dumps(stored["state"], separators=(",", ":")).encode()
    event = decode(UUID(stored["originator_id"]), stored["originator_version"], stored["topic"], state)
    loaded = {name: getattr(event, name) for name in golden["loaded"]}
    assert {**loaded, "timestamp": event.timestamp.isoformat()} == golden["loaded"]


def test_there_are_golden_files_for_every_event() -> None:
    topics = {json.loads(path.read_text())["stored"]["topic"] for path in GOLDEN}
    assert topics == set(event_codec.TYPES)


def test_what_we_write_today_is_a_golden_form(library: Mapper[UUID]) -> None:
    """A field more or less than in the newest golden file is a new form, and needs a file of its own."""
    newest = {json.loads(path.read_text())["stored"]["topic"]: json.loads(path.read_text()) for path in GOLDEN}
    staff = {"impersonated": True, "actor": {"user": "u", "session": "s", "impersonator": "i"}}
    full = [
        opened(**staff, traceparent=TRACEPARENT),
        toggled(3, "news", False, previous=True, **staff, traceparent=TRACEPARENT),
        erased(4),
        published(CATALOGUE),
    ]
    for event in full:
        written = json.loads(encode(event).state)
        golden = newest[event.TOPIC]["stored"]["state"]
        assert written.keys() == golden.keys()
        assert written.get("actor", {}).keys() <= golden.get("actor", {}).keys()
    [written, *_], [golden, *_] = (
        channels_of(CATALOGUE),
        newest[CataloguePublished.TOPIC]["stored"]["state"]["channels"],
    )
    assert [*written] == [*golden]
    assert [*written["toggles"][0]] == [*golden["toggles"][0]]


@pytest.mark.parametrize("event", [opened(), toggled(2, "news", True), erased(3)], ids=["opened", "toggled", "erased"])
def test_without_a_traceparent_an_event_takes_no_more_room_than_before_there_were_any(event) -> None:
    assert b"trace" not in encode(event).state


@pytest.mark.parametrize("event", EVENTS)
def test_a_field_of_a_later_release_is_passed_over_by_us_and_by_the_library(event, library: Mapper[UUID]) -> None:
    """As releases before the traceparent do with it. So a field may be added while their processes still read."""
    stored = encode(event, KEY)
    later = stored._replace(state=stored.state[:-1] + b',"of_a_later_release":"x"}')
    read = decode(*later, KEY)
    assert {**vars(decode(*stored, KEY)), "of_a_later_release": "x"} == vars(read)
    assert encode(read, KEY) == later
    assert type(library.to_domain_event(StoredEvent(*later[:4]))) is type(event)


@pytest.mark.parametrize(
    "path", [path for path in GOLDEN if path.stem.startswith("catalogue")], ids=lambda path: path.stem
)
def test_a_stored_catalogue_is_read_and_written_as_it_was(path: Path) -> None:
    """A release that publishes it again, or asks whether it was ever in force, finds it unchanged."""
    stored = json.loads(path.read_text())["stored"]
    event = decode(UUID(int=1), stored["originator_version"], stored["topic"], json.dumps(stored["state"]).encode())
    assert isinstance(event, CataloguePublished)
    assert json.dumps(channels_of(catalogue_of(event))) == json.dumps(stored["state"]["channels"])


def test_an_old_version_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    class Toggled2(NotificationToggled):
        class_version = 2

        @staticmethod
        def upcast_v1_v2(fields: dict) -> None:
            fields["reason"] = "none was asked for"

    monkeypatch.setitem(event_codec.TYPES, NotificationToggled.TOPIC, Toggled2)
    old = encode(toggled(2, "news", True))
    assert decode(*old).reason == "none was asked for"
    new = encode(decode(*old))
    assert json.loads(new.state)["class_version"] == 2
    assert decode(*new).reason == "none was asked for"


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("notification-preferences.unheard-of", b"{}"),
        ("notification-preferences.toggled", b"not json"),
        ("notification-preferences.toggled", b"{}"),
        ("notification-preferences.toggled", b'{"timestamp":{"_data_":"yesterday"}}'),
        ("notification-preferences.toggled", b'{"timestamp":{"_data_":"ada@example.com"}}'),
        ("notification-preferences.toggled", b"[]"),
    ],
)
def test_what_can_not_be_read_is_an_error_that_names_its_place_and_nothing_of_what_stands_there(
    topic: str, state: bytes
) -> None:
    with pytest.raises(UnreadableEvent, match="version 7") as raised:
        decode(UUID(int=1), 7, topic, state)
    assert not any(word in str(raised.value) for word in ("yesterday", "ada@example.com", "not json"))
