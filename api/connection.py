"""What a long answer needs to know of the connection that it is sent over: an extension of ASGI, given by our server."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from starlette.types import Scope
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.transport import AnswerTransport

EXTENSION: Final = "preferences.connection"


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """`ending` is set when the server is about to stop. `abort` drops the connection, with whatever the other side
    hasn't taken yet."""

    abort: Callable[[], None] = lambda: None
    ending: asyncio.Event = field(default_factory=asyncio.Event)


def connection(scope: Scope) -> ClientConnection:
    """Under another server: one of which nothing is known."""
    found: ClientConnection | None = scope.get("extensions", {}).get(EXTENSION)
    return found or ClientConnection()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, over a transport as answers need it, which tells its requests what it knows of their connection. Without
    that, a server that stops would wait for answers that have no end, and for readers who take nothing."""

    @override
    def connection_made(self, transport: Any) -> None:
        # There is no cycle before the first request.
        answering = AnswerTransport(transport, self, lambda: getattr(self.cycle, "more_body", False))
        super().connection_made(cast("asyncio.Transport", answering))
        self._connection = ClientConnection(transport.abort)
        self._extensions: dict[str, Any] = {EXTENSION: self._connection}

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    @override
    def shutdown(self) -> None:
        self._connection.ending.set()
        super().shutdown()
