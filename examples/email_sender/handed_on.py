"""A message of the relay's stream, understood: a CloudEvent in the NATS binding, attributes as headers."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

OPENED = "notification-preferences.opened.v1"
TOGGLED = "notification-preferences.toggled.v1"
ERASED = "notification-preferences.erased.v1"
CATALOGUE_PUBLISHED = "notification-preferences.catalogue-published.v1"
CONTINUED = "notification-preferences.continued.v1"


class HandedOn(NamedTuple):
    """`sequence` is the message's place in the stream, `position` the event's in the log of the service.

    `key` stands for the user, `subject` is the user's id where it is told.
    """

    sequence: int
    position: int
    type: str
    key: str
    subject: str | None
    data: dict[str, Any]


def understand(sequence: int, headers: Mapping[str, str], payload: bytes) -> HandedOn:
    subject = headers.get("ce-subject")
    return HandedOn(
        sequence,
        int(headers["ce-sequence"]),
        headers["ce-type"],
        headers["ce-partitionkey"],
        None if subject is None else unquote(subject),
        json.loads(payload),
    )
