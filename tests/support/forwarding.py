"""A server of a test between two programs. Each connection is a conversation of its own."""

import asyncio
from abc import ABC, abstractmethod
from typing import Self


class Forwarding(ABC):
    """Listens on a port of its own while it is entered. At the end all conversations are over."""

    def __init__(self) -> None:
        self._server: asyncio.Server
        self._conversations: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @abstractmethod
    async def _converse(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Hand on what the two sides say, until one of them hangs up. It closes `to_client` at its end."""

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Start a conversation in a task of our own. Before Python 3.12, asyncio logs the cancellation of a task that it
        started itself as an unhandled error, and `__aexit__` can cancel a task at any await, its first one included."""
        if not self._server.is_serving():  # the connection came in the very moment in which the proxy was closed
            to_client.transport.abort()
            return
        conversation = asyncio.create_task(self._converse(client, to_client))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)
