"""Answers without chunks, for clients of HTTP/1.0, which doesn't have chunks."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def until_closed(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """The application with a change: the end of the connection ends an answer of unknown length (RFC 9112, section 6.3)."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_plainly(message: Message) -> None:
            if message["type"] == "http.response.start":
                if all(name != b"content-length" for name, _ in message["headers"]):
                    cycle.chunked_encoding = False
            elif cycle.chunked_encoding is False and not cycle.expected_content_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return answering
