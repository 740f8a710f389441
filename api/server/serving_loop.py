"""The event loop of a server process. It stops listening without resetting the connections that wait to be accepted."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvloop
from typing_extensions import override


class ServingLoop(uvloop.Loop):
    @override
    async def create_server(  # type: ignore[override]  # the one way in which the service listens, out of many
        self, protocol_factory: Callable[[], Any], *, sock: socket.socket, **options: Any
    ) -> "Listening":
        server = await super().create_server(protocol_factory, sock=sock, **options)
        return Listening(server, sock, protocol_factory)


class Listening:
    """What uvicorn closes when it stops listening.

    The kernel completes connections before the process accepts them, and resets those that wait when the socket is closed. Their
    clients have sent requests by then, and a proxy answers 502 to a change, because it may not send a change twice. So all
    waiting connections are accepted in the moment before the socket is closed. They are then treated like all others at a stop.
    """

    def __init__(
        self, server: asyncio.AbstractServer, listener: socket.socket, protocol_factory: Callable[[], Any]
    ) -> None:
        self._server, self._listener = server, listener
        self._protocol_factory = protocol_factory
        self._connecting: list[asyncio.Task[None]] = []

    def close(self) -> None:
        waiting = []
        with suppress(OSError):  # There is none left, or no file for it.
            while True:
                waiting.append(self._listener.accept()[0])
        self._server.close()
        self._connecting = [asyncio.create_task(self._connect(each)) for each in waiting]

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await self._server.wait_closed()

    async def _connect(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_accepted_socket(self._protocol_factory, accepted)
        protocol.shutdown()
