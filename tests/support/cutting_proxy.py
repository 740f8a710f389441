"""A proxy in front of PostgreSQL that cuts a connection at the one moment that matters: around a commit."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from typing_extensions import override

from tests.support.forwarding import Forwarding


class Cut(Enum):
    BEFORE = "before the statement reaches PostgreSQL"
    WHILE = "when the statement has been handed on"
    AFTER = "after PostgreSQL has committed, and answered us"


async def _nothing() -> None:
    pass


class CuttingProxy(Forwarding):
    """Hands on what is said between clients and PostgreSQL. Each cut that it is armed with strikes once, in order.

    It strikes at the execution of a statement whose text has the marker in it, prepared or not. A cut ends both
    connections, and nothing that PostgreSQL said after the statement came reaches the client.
    """

    def __init__(self, url: str, marker: bytes = b"append_events") -> None:
        super().__init__()
        parts = conninfo_to_dict(url)
        self._socket = Path(str(parts["host"]), f".s.PGSQL.{parts['port']}")
        # Without encryption, so that the proxy understands what is said.
        self._url = f"postgresql://{parts['user']}:{parts['password']}@127.0.0.1:{{}}/{parts['dbname']}?sslmode=disable"
        self._marker = marker
        self._armed: list[tuple[Cut, Callable[[], Awaitable[object]]]] = []
        self.struck: list[Cut] = []

    @property
    def url(self) -> str:
        """The database behind the proxy, by way of the proxy."""
        return self._url.format(self.port)

    def arm(self, *cuts: Cut, meanwhile: Callable[[], Awaitable[object]] = _nothing) -> None:
        """`meanwhile` is awaited after PostgreSQL has committed and before the connection is cut."""
        self._armed += [(cut, meanwhile) for cut in cuts]

    @override
    async def _converse(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_unix_connection(self._socket)
            try:
                await self._hand_on_both_ways(client, to_client, server, to_server)
            finally:
                to_server.transport.abort()
        except (asyncio.IncompleteReadError, OSError):
            pass  # One side has hung up, so the proxy hangs up on the other one.
        finally:
            to_client.transport.abort()

    async def _hand_on_both_ways(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        answers = asyncio.create_task(self._hand_on(server, to_client))
        try:
            await self._listen(client, server, to_server, answers)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)

    async def _hand_on(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while said := await server.read(1 << 16):
            to_client.write(said)
            await to_client.drain()
        to_client.close()

    async def _listen(
        self,
        client: asyncio.StreamReader,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> None:
        marked: set[bytes] = set()
        length = await client.readexactly(4)
        to_server.write(length + await client.readexactly(struct.unpack("!I", length)[0] - 4))
        while True:
            head = await client.readexactly(5)
            body = await client.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            kind, strikes = head[:1], False
            if kind == b"P":
                name, text, _ = body.split(b"\0", 2)
                (marked.add if self._marker in text else marked.discard)(name)
            elif kind == b"B":
                strikes = body.split(b"\0", 2)[1] in marked
            elif kind == b"Q":
                strikes = self._marker in body
            if strikes and self._armed:
                cut, meanwhile = self._armed.pop(0)
                if cut is not Cut.BEFORE:
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    to_server.write(head + body)
                    while kind not in b"SQ":  # The statement runs when the client asks for the end of it (Sync).
                        head = await client.readexactly(5)
                        kind, body = head[:1], await client.readexactly(struct.unpack("!I", head[1:])[0] - 4)
                        to_server.write(head + body)
                    await to_server.drain()
                    if cut is Cut.AFTER:
                        await self._committed(server)
                    await meanwhile()
                self.struck.append(cut)
                return
            to_server.write(head + body)
            await to_server.drain()

    async def _committed(self, server: asyncio.StreamReader) -> None:
        """Read up to the message that says that PostgreSQL has finished, and that the transaction is over."""
        while True:
            head = await server.readexactly(5)
            body = await server.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            assert head[:1] != b"E", body
            if head[:1] == b"Z":
                assert body == b"I"
                return
