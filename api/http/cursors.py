"""Cursors: the start of a page, which the reader sends back. As everywhere in the product, they are base64 of JSON, opaque to clients."""

import base64
import binascii
import json
from typing import Final

from domain.errors import ValidationFailed

LAST: Final = 2**63 - 1
"""The greatest position or version: the maximum of PostgreSQL's `bigint`."""

_LONGEST_ID = 26
"""The length of a ULID."""


def encode_cursor(**fields: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


def decode_cursor(cursor: str, number: str) -> tuple[int, str]:
    """The field `number`, which is at least 1, and the field `id`. Raises `ValidationFailed`."""
    fields = _fields(cursor)
    place, event_id = fields.get(number), fields.get("id")
    if type(place) is not int or not 0 < place <= LAST or type(event_id) is not str:
        raise _foreign()
    return place, event_id


def decode_id(cursor: str) -> str:
    """The field `id`. Raises `ValidationFailed`."""
    found = _fields(cursor).get("id")
    if type(found) is not str or not 0 < len(found) <= _LONGEST_ID:
        raise _foreign()
    return found


def decode_position(cursor: str) -> int:
    """The field `position`, which is at least 0. Raises `ValidationFailed`."""
    position = _fields(cursor).get("position")
    if type(position) is not int or not 0 <= position <= LAST:
        raise _foreign()
    return position


def _fields(cursor: str) -> dict[str, object]:
    try:
        fields = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _foreign() from None
    return fields if isinstance(fields, dict) else {}


def _foreign() -> ValidationFailed:
    return ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
