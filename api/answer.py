"""Responses in the product's envelope."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

JSON: Final = (b"content-type", b"application/json")


class Answer:
    """A complete response: one start, one body, no machinery."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = (JSON,)) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.headers]
        if self.status != 304:  # a 304 has no body, and a length would speak of the one that was not sent (RFC 9110)
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


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
    # Not orjson: `details` may hold what a caller sent, and JSON allows a lone surrogate that UTF-8 has no bytes for.
    return json.dumps({"success": False, "error": error}).encode()
