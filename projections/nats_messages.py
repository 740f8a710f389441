"""A CloudEvent as a NATS message, in the binding's binary mode: attributes are headers, `data` is the payload.

The attribute `traceparent` is also a header of this name, where tracing libraries and the NATS server look for it.

The subject is `notification-preferences.<organization>.<type>`. So a consumer can subscribe to one organization, to one type, or to
`notification-preferences.>`.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from domain.events import CommonEvent
from domain.isolation import Shown
from projections.cloud_events import PREFIX, cloud_event

NO_ORGANIZATION: Final = "_"
"""The token of users without an organization."""

EVERY_ORGANIZATION: Final = "~"
"""The token of events that concern all organizations: the catalogue, and the continuations of the log."""

_EMPTY: Final = "%"

# The binding percent-encodes in a header the same characters as HTTP's: a quote, a percent sign, and all but visible ASCII.
_VISIBLE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class Message(NamedTuple):
    """The caller encodes `data` as JSON."""

    subject: str
    headers: dict[str, str]
    data: dict[str, Any]


def message(position: int, event: Shown) -> Message:
    """The message for the event at a position of the log."""
    attributes = cloud_event(position, event)
    data = attributes.pop("data")
    headers = {f"ce-{name}": quote(value, safe=_VISIBLE) for name, value in attributes.items()}
    if "traceparent" in attributes:
        headers["traceparent"] = attributes["traceparent"]
    return Message(subject(event), headers, data)


def subject(event: Shown) -> str:
    token = EVERY_ORGANIZATION if isinstance(event, CommonEvent) else organization_token(event.organization)
    return f"{PREFIX}.{token}.{event.TOPIC.removeprefix(f'{PREFIX}.')}"


def organization_token(organization: str | None) -> str:
    """An organization as one token of a subject: letters, digits, `-` and `_` stay; any other character becomes `%XX` in UTF-8.

    `organization_of` turns it back, for any name.
    """
    if organization is None:
        return NO_ORGANIZATION
    if organization == NO_ORGANIZATION:
        return "%5F"
    # `quote` leaves these two characters alone, but `.` separates the tokens of a subject and `~` is the token for all organizations.
    return quote(organization, safe="").replace(".", "%2E").replace("~", "%7E") or _EMPTY


def organization_of(token: str) -> str | None:
    """The organization behind a token. Raises ValueError for the token of all organizations."""
    if token == EVERY_ORGANIZATION:
        raise ValueError(f"{token!r} stands for every organization")
    if token == NO_ORGANIZATION:
        return None
    return "" if token == _EMPTY else unquote(token)
