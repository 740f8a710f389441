"""A last line behind lines of NDJSON, for a client that asks for it: it says that this is the end, and how many lines there were.

A body that is broken off ends without what HTTP asks for. A proxy can hide that: one that hands it on over HTTP/2, or that ends
it properly by itself. The lines then have to tell by themselves that none is missing.
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
"""The type of a query's parameter that may be left out."""


def asked_for(trailer: str | None, *, lines: bool) -> bool:
    """Raises `ValidationFailed` where it was asked for in a form that can't have one."""
    if trailer == "true" and not lines:
        raise ValidationFailed(details={"trailer": "must be absent but for application/x-ndjson"})
    return trailer == "true"


def last_line(count: int, **more: int | str | None) -> bytes:
    return orjson.dumps({"end": True, "lines": count, **more}, option=orjson.OPT_APPEND_NEWLINE)
