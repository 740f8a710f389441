"""A last line of NDJSON, for clients that ask for it. It says that this is the end, and how many lines came before.

A body that is broken off has no proper end in HTTP. A proxy can hide that if it passes the body on over HTTP/2, or if it ends
the body properly by itself. Then only the lines themselves can show that none is missing.
"""

from typing import Annotated, Literal

import orjson
from fastapi import Query
from pydantic import WithJsonSchema

from domain.errors import ValidationFailed

Trailer = Annotated[
    Literal["true", "false"] | None,
    Query(
        description="Of `application/x-ndjson`, and of nothing else: `true` adds a last line, which says that it is "
        "the end and how many lines there were. Without it, lines that a proxy has cut off can look whole."
    ),
    WithJsonSchema({"type": "boolean"}),
]
"""The type of an optional query parameter."""


def asked_for(trailer: str | None, *, lines: bool) -> bool:
    """Whether the client asks for a trailer. Raises `ValidationFailed` if the media type of the answer can't have one."""
    if trailer == "true" and not lines:
        raise ValidationFailed(details={"trailer": "must be absent but for application/x-ndjson"})
    return trailer == "true"


def last_line(count: int, **more: int | str | None) -> bytes:
    return orjson.dumps({"end": True, "lines": count, **more}, option=orjson.OPT_APPEND_NEWLINE)
