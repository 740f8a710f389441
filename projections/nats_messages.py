"""A CloudEvent as a NATS message, in the binding's binary mode: attributes are headers, `data` is the payload.

The subject is `notification-preferences.<organization>.<type>`, so that a consumer subscribes to one organization, to one
type, or to `notification-preferences.>`.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from domain.events import CommonEvent
from domain.isolation import Shown
from projections.cloud_events import PREFIX, cloud_event

NO_ORGANIZATION: Final = "_"
"""The token of users without an organization."""

EVERY_ORGANIZATION: Final = "~"
"""The token of what concerns all of them: the catalogue, and the continuations of the log."""

_EMPTY: Final = "%"

# What the binding has percent-encoded in a header is what HTTP's has: a quote, a percent sign, all that is not visible ASCII.
_VISIBLE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class Message(NamedTuple):
    """`data` is to be encoded as JSON."""

    subject: str
    headers: dict[str, str]
    data: dict[str, Any]


def message(position: int, event: Shown) -> Message:
    """The event at a position of the log, as it is handed on."""
    attributes = cloud_event(position, event)
    data = attributes.pop("data")
    headers = {f"ce-{name}": quote(value, safe=_VISIBLE) for name, value in attributes.items()}
    return Message(subject(event), headers, data)


def subject(event: Shown) -> str:
    token = EVERY_ORGANIZATION if isinstance(event, CommonEvent) else organization_token(event.organization)
    return f"{PREFIX}.{token}.{event.TOPIC.removeprefix(f'{PREFIX}.')}"


def organization_token(organization: str | None) -> str:
    """An organization as one token of a subject: letters, digits, `-` and `_` stand for themselves, all else is `%XX` in UTF-8.

    `organization_of` turns it back, whatever the organization is called.
    """
    if organization is None:
        return NO_ORGANIZATION
    if organization == NO_ORGANIZATION:
        return "%5F"
    # These two are the only characters that `quote` leaves alone and that a subject, or we, need for something else.
    return quote(organization, safe="").replace(".", "%2E").replace("~", "%7E") or _EMPTY


def organization_of(token: str) -> str | None:
    """The organization behind a token. Raises ValueError for the one that stands for all of them."""
    if token == EVERY_ORGANIZATION:
        raise ValueError(f"{token!r} stands for every organization")
    if token == NO_ORGANIZATION:
        return None
    return "" if token == _EMPTY else unquote(token)
