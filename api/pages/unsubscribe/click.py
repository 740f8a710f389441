"""The body of a POST to an unsubscribe link: whether it is a click, and who sent it."""

from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.message import Message
from typing import Final
from urllib.parse import parse_qsl

from domain.provenance import Source

FIELD: Final = "List-Unsubscribe"
BY_PROVIDER: Final = "One-Click"
"""What mail providers send (RFC 8058, section 3.2)."""
BY_PAGE: Final = "Link"
"""What the button of our page sends. It stands in the button alone, so a scanner that sends a form's other fields doesn't send it."""

_SOURCES: Final[Mapping[str, Source]] = {BY_PROVIDER: Source.ONE_CLICK, BY_PAGE: Source.LINK}
_MOST_FIELDS: Final = 20


def clicked(content_type: bytes, body: bytes) -> Source | None:
    """None if the body is anything but a click. Other fields in it don't matter."""
    fields = _multipart if content_type.strip().lower().startswith(b"multipart/form-data") else _urlencoded
    values = {value for name, value in fields(content_type, body) if name == FIELD}
    return _SOURCES.get(values.pop()) if len(values) == 1 else None


def _urlencoded(_: bytes, body: bytes) -> Iterator[tuple[str, str]]:
    """Any other content type counts as this one, because a provider that names none still means it."""
    try:
        fields = parse_qsl(body.decode("ascii").strip(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return
    yield from fields


def _multipart(content_type: bytes, body: bytes) -> Iterator[tuple[str, str]]:
    message = message_from_bytes(b"Content-Type: " + content_type + b"\r\n\r\n" + body)
    parts = message.get_payload()
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Message) and not part.is_multipart():
            name = part.get_param("name", header="content-disposition")
            value = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(value, bytes):
                yield name, value.decode("latin-1").strip()
