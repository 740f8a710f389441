"""A bundle: one user's events with the proof that the signed log contains them. A reader verifies it without the log."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol, Self
from uuid import UUID

from application.evidence.checkpoints import Notes
from application.log import UnreadableEvent
from domain.checkpoint import Checkpoint
from domain.errors import ForeignEvent
from domain.events import CataloguePublished, Event, PreferencesErased, PreferencesEvent
from domain.isolation import Audience
from domain.leaf import Leaf
from domain.merkle import includes, leaf_hash
from domain.preferences import stream_id
from domain.published_catalogues import STREAM as CATALOGUES

FORMAT: Final = "notification-preferences evidence 1"


class BadBundle(Exception):
    """One sentence on why a bundle proves nothing."""


class Decode(Protocol):
    """Decodes a stored event. Raises `ValueError` or `UnreadableEvent`."""

    def __call__(
        self, stream: UUID, version: int, topic: str, state: bytes, sealed_actor: bytes, key: bytes | None, /
    ) -> Event: ...


@dataclass(frozen=True, slots=True)
class Proven:
    """A leaf, its index in the tree, and the proof that it is at this index."""

    index: int
    leaf: Leaf
    proof: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Bundle:
    """`key` opens the sealed actors. It is None if no event needs it, or if it was destroyed."""

    organization: str | None
    user: str
    key: bytes | None
    checkpoint: str
    events: Sequence[Proven]
    catalogues: Sequence[Proven]

    def render(self) -> bytes:
        """The content of the file. A bundle has exactly one written form, so any changed byte is noticed."""
        document = {
            "format": FORMAT,
            "organization": self.organization,
            "user": self.user,
            "key": None if self.key is None else _text(self.key),
            "checkpoint": self.checkpoint,
            "events": [_written(proven) for proven in self.events],
            "catalogues": [_written(proven) for proven in self.catalogues],
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raise `BadBundle`."""
        try:
            document = json.loads(data)
            bundle = cls(
                organization=None if document["organization"] is None else _string(document["organization"]),
                user=_string(document["user"]),
                key=None if document["key"] is None else b64decode(document["key"]),
                checkpoint=_string(document["checkpoint"]),
                events=[_read(proven) for proven in document["events"]],
                catalogues=[_read(proven) for proven in document["catalogues"]],
            )
            exact = bundle.render() == data
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadBundle("this is not an evidence bundle") from None
        if not exact:
            raise BadBundle("this is not the exact text of an evidence bundle")
        return bundle


@dataclass(frozen=True, slots=True)
class Opened:
    """The facts that a bundle proves: the log contains these events, and the stream has no others up to the last of them.

    The bundle doesn't prove that there is no later event: a bundle that leaves out the last events still proves the rest.
    """

    checkpoint: Checkpoint
    events: Sequence[PreferencesEvent]
    catalogues: Sequence[CataloguePublished]


def open_bundle(bundle: Bundle, notes: Notes, origin: str, decode: Decode) -> Opened:
    """Raise `BadBundle` unless everything in the bundle is proven."""
    try:
        checkpoint = Checkpoint.parse(notes.open(bundle.checkpoint))
    except ValueError as error:
        raise BadBundle(f"the checkpoint is {error}") from None
    if checkpoint.origin != origin:
        raise BadBundle(f"the checkpoint is one of {checkpoint.origin}")
    stream = stream_id(bundle.organization, bundle.user)
    for proven in (*bundle.events, *bundle.catalogues):
        _prove(proven, checkpoint)
    _follow(bundle.events, stream, "the user")
    _follow(bundle.catalogues, CATALOGUES, "the catalogue")
    if [proven.leaf.version for proven in bundle.events] != list(range(1, len(bundle.events) + 1)):
        raise BadBundle("events of the user were left out")
    keys = _keys(bundle)
    try:
        catalogues = [decode(*proven.leaf[1:], None) for proven in bundle.catalogues]
        events = [decode(*proven.leaf[1:], key) for proven, key in zip(bundle.events, keys, strict=True)]
    except (ValueError, UnreadableEvent) as error:
        raise BadBundle(f"an event can't be read: {error}") from None
    audience = Audience.of_user(bundle.organization, bundle.user, "the bundle")
    try:
        for event in events:
            audience.clear(event)
    except ForeignEvent:
        raise BadBundle("an event says that it is not of the user") from None
    return Opened(
        checkpoint,
        [event for event in events if isinstance(event, PreferencesEvent)],
        [event for event in catalogues if isinstance(event, CataloguePublished)],
    )


def _prove(proven: Proven, checkpoint: Checkpoint) -> None:
    leaf = leaf_hash(proven.leaf.data)
    if not includes(checkpoint.root, checkpoint.size, proven.index, leaf, proven.proof):
        raise BadBundle(f"the event at position {proven.leaf.position} is not in the log that was signed")


def _follow(events: Sequence[Proven], stream: UUID, whose: str) -> None:
    """Check that the events are all of one stream, in the order of the stream and of the log."""
    if any(proven.leaf.stream != stream for proven in events):
        raise BadBundle(f"an event is not of {whose}")
    order = [(proven.index, proven.leaf.position, proven.leaf.version) for proven in events]
    for before, after in pairwise(order):
        if not all(one < other for one, other in zip(before, after, strict=True)):
            raise BadBundle(f"the events of {whose} are out of order")


def _keys(bundle: Bundle) -> list[bytes | None]:
    """For each event, the person's key; None up to and including the person's last erasure."""
    topics = [proven.leaf.topic for proven in bundle.events]
    since = max((at for at, topic in enumerate(topics, 1) if topic == PreferencesErased.TOPIC), default=0)
    sealed = any(proven.leaf.sealed_actor for proven in bundle.events[since:])
    if sealed is not (bundle.key is not None):
        raise BadBundle("the person's key is missing" if sealed else "there is a key that opens nothing")
    return [None] * since + [bundle.key] * (len(topics) - since)


def _written(proven: Proven) -> dict[str, Any]:
    leaf = proven.leaf
    return {
        "index": proven.index,
        "position": leaf.position,
        "stream": str(leaf.stream),
        "version": leaf.version,
        "topic": leaf.topic,
        "state": leaf.state.decode(),
        "sealed_actor": _text(leaf.sealed_actor),
        "proof": [_text(sibling) for sibling in proven.proof],
    }


def _read(written: dict[str, Any]) -> Proven:
    leaf = Leaf(
        position=_number(written["position"]),
        stream=UUID(written["stream"]),
        version=_number(written["version"]),
        topic=_string(written["topic"]),
        state=written["state"].encode(),
        sealed_actor=b64decode(written["sealed_actor"]),
    )
    return Proven(_number(written["index"]), leaf, [b64decode(sibling) for sibling in written["proof"]])


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(value)
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _text(data: bytes) -> str:
    return b64encode(data).decode()
