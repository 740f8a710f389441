"""Responses in the envelope of the product."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

Header: TypeAlias = tuple[bytes, bytes]
Headers: TypeAlias = Sequence[Header]

AnswerAtOnce: TypeAlias = Callable[[int, Headers, bytes], Awaitable[None]]
"""Sends status, headers and body in one piece. The server adds the length of the body, and sends no body where there must be none."""

AT_ONCE: Final = "preferences.answer"
"""The key in an ASGI scope under which our server offers an `AnswerAtOnce`. It saves the two messages that an answer has in ASGI, and
what a server must do to put them together again."""

JSON: Final = (b"content-type", b"application/json")


class Answer(Response):
    """A response with final headers and a final body. Sending it renders, encodes and looks up nothing."""

    def __init__(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        self.status_code = status
        self.body: bytes = body
        self.background = None
        self.own_headers = headers
        """All but the length, which our server adds."""

    @cached_property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]  # the base class has an attribute
        """For any other server. It is an attribute in starlette, whose types allow no property instead."""
        # A 204 has no length. A 304 has no body; a length would be that of the body which is not sent (RFC 9110).
        length = () if self.status_code in (204, 304) else ((b"content-length", b"%d" % len(self.body)),)
        return [*self.own_headers, *length]

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at_once: AnswerAtOnce | None = scope.get(AT_ONCE)
        if at_once is not None:
            await at_once(self.status_code, self.own_headers, self.body)
            # What starlette does at the end, too, for a route of the framework.
            if self.background is not None:
                await self.background()
        else:
            await super().__call__(scope, receive, send)


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
