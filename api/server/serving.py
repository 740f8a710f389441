"""The state that all connections of one server process share, and how the process stops."""

import asyncio
import signal
from typing import Any, Final

from api.http.connection import Stopping
from api.http.open_connections import open_connections
from api.server.answer_head import HeadBeginnings
from api.server.http_protocol import HttpProtocol
from api.server.patience import Limits

AT_ONCE: Final = 10
"""Connections that are checked before requests get a turn of the event loop."""


class Serving:
    """Makes the protocol of each connection, for uvicorn's `http`. `each_second` is for uvicorn's `callback_notify`.

    uvicorn pickles this object for worker processes, so each process has a copy of its own.

    `drain_seconds`: after SIGTERM, the process goes on serving for this long and only then stops listening. In this time `/readyz`
    says 503, and each answer ends its connection. Until then, a proxy that learns of the end only from a failed probe, or from
    its own configuration, still sends requests. Ctrl-C doesn't wait for proxies.
    """

    def __init__(self, limits: Limits, *, drain_seconds: float) -> None:
        self._most_header_bytes, self._patience = limits.header_bytes, limits.seconds()
        self._drain_seconds = drain_seconds
        self._stopping = Stopping()
        self._connections: set[HttpProtocol] = set()
        self._beginnings: HeadBeginnings | None = None
        self._started = False

    def __call__(self, *, config: Any, server_state: Any, **_: Any) -> HttpProtocol:
        self._connections = server_state.connections
        self._beginnings = self._beginnings or HeadBeginnings(server_state)
        return HttpProtocol(
            config.loaded_app, server_state, self._beginnings, self._patience, self._most_header_bytes, self._stopping
        )

    async def each_second(self) -> None:
        if not self._started:
            self._started = True
            self._drain_before_sigterm()
        open_connections.count = len(self._connections)
        now = asyncio.get_running_loop().time()
        for number, connection in enumerate(list(self._connections), 1):
            connection.look(now)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _drain_before_sigterm(self) -> None:
        """Delay the server's own reaction to SIGTERM by `drain_seconds`."""
        loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if self._drain_seconds == 0 or not callable(stop):
            return

        def drain(number: int, _: object) -> None:
            if not self._stopping.begun:
                self._stopping.begun = True
                loop.call_soon_threadsafe(loop.call_later, self._drain_seconds, stop, number, None)
                loop.call_soon_threadsafe(self._end_after_answers)

        signal.signal(signal.SIGTERM, drain)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # This is one of several workers. Ctrl-C reaches all processes of a terminal, and the master then sends SIGTERM;
            # that SIGTERM must not drain.
            signal.signal(signal.SIGINT, lambda *_: signal.signal(signal.SIGTERM, stop))

    def _end_after_answers(self) -> None:
        for connection in self._connections:
            connection.end_after_answer()
