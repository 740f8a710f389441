"""Cursors: where a page begins, as its reader sends it back. Opaque to clients, as everywhere in the product: base64 of JSON."""

import base64
import binascii
import json

from domain.errors import ValidationFailed


def encode_cursor(**fields: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


def decode_cursor(cursor: str, number: str) -> tuple[int, str]:
    """What stands under the name `number`, which is at least 1, and the id beside it. Raises `ValidationFailed`."""
    try:
        fields = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
        place, event_id = fields[number], fields["id"]
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        place = event_id = None
    if type(place) is not int or not 0 < place < 2**63 or type(event_id) is not str:
        raise ValidationFailed(details={"cursor": "must be one that this endpoint returned"})
    return place, event_id
