"""Reads the body of a request, up to a limit."""

from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api.http.connection import connection
from api.http.errors import PayloadTooLarge

LIMIT: Final = 16 * 1024
"""Bytes. The largest useful change of preferences has a few hundred bytes."""


async def read_body(scope: Scope, receive: Receive, limit: int = LIMIT) -> bytes:
    """The whole body, never a part of it. Raises `PayloadTooLarge` as soon as the announced or the counted length is too large."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise PayloadTooLarge
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > limit:
            raise PayloadTooLarge
        if not message.get("more_body", False):
            return body
        connection(scope).raise_fault()
