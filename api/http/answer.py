"""Responses in the envelope of the product."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

JSON: Final = (b"content-type", b"application/json")


class Answer(Response):
    """A response with final headers and a final body. Sending it renders, encodes and looks up nothing."""

    def __init__(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = (JSON,)) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [*headers]
        # A 204 has no length. A 304 has no body; a length would be that of the body which is not sent (RFC 9110).
        if status not in (204, 304):
            self.raw_headers.append((b"content-length", b"%d" % len(body)))


def success(data: Any, meta: Mapping[str, Any] | None = None) -> bytes:
    document = {"success": True, "data": data}
    if meta is not None:
        document["meta"] = meta
    return orjson.dumps(document)


def failure(code: str, message: str, request_id: str, details: Mapping[str, str] | None = None) -> bytes:
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = details
    error["request_id"] = request_id
    # Not orjson: `details` may contain text from the caller. JSON allows a lone surrogate there, which UTF-8 can't encode.
    return json.dumps({"success": False, "error": error}, separators=(",", ":")).encode()
