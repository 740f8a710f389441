"""A long way between a proxy and the service: the proxy sends a request just when the service closes the connection."""

import asyncio
from contextlib import suppress
from typing import Self


class Distant:
    """Hands on what is said between a proxy and the service (a host and a port). The proxy learns that the service has closed a connection only
    when it has sent something on it. `changes`: the number of the connection on which each PATCH came."""

    def __init__(self, host: str) -> None:
        self._host, self._port = host.split(":")
        self._conversations: list[asyncio.Task[None]] = []
        self._server: asyncio.Server
        self.changes: list[int] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, proxy: asyncio.StreamReader, to_proxy: asyncio.StreamWriter) -> None:
        number = len(self._conversations)
        self._conversations.append(asyncio.create_task(self._converse(number, proxy, to_proxy)))

    async def _converse(self, number: int, proxy: asyncio.StreamReader, to_proxy: asyncio.StreamWriter) -> None:
        service, to_service = await asyncio.open_connection(self._host, self._port)
        answering = asyncio.create_task(_hand_on(service, to_proxy))
        try:
            while piece := await proxy.read(1 << 16):
                self.changes += [number] * piece.startswith(b"PATCH ")
                if answering.done():
                    break
                to_service.write(piece)
        except OSError:
            pass  # The proxy has hung up.
        finally:
            answering.cancel()
            to_service.transport.abort()
            to_proxy.transport.abort()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
