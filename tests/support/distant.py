"""A long way between a proxy and the service: the proxy sends a request just when the service closes the connection."""

import asyncio
from contextlib import suppress
from itertools import count

from typing_extensions import override

from tests.support.forwarding import Forwarding


class Distant(Forwarding):
    """Hands on what is said between a proxy and the service (a host and a port). The proxy learns that the service has closed a connection only
    when it has sent something on it. `changes`: the number of the connection on which each PATCH came."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host, self._port = host.split(":")
        self._numbers = count()
        self.changes: list[int] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @override
    async def _converse(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        service, to_service = await asyncio.open_connection(self._host, self._port)
        answering = asyncio.create_task(_hand_on(service, to_client))
        try:
            while piece := await client.read(1 << 16):
                self.changes += [number] * piece.startswith(b"PATCH ")
                if answering.done():
                    break
                to_service.write(piece)
        except OSError:
            pass  # The proxy has hung up.
        finally:
            answering.cancel()
            to_service.transport.abort()
            to_client.transport.abort()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
