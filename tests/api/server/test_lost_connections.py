"""A connection that is over leaves nothing that only the garbage collector could free: thousands of them would fill the memory."""

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest
import uvloop
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from api.http.answer import AT_ONCE
from api.http.body import read_body
from api.http.refused_request import REFUSAL
from api.server.http_protocol import HttpProtocol
from api.server.patience import Limits
from domain.errors import ServiceError
from tests.support.protocols import Protocols

HEAD = b"PATCH / HTTP/1.1\r\nHost: test\r\n"
ENDS = {
    "silent": b"",
    "half a head": HEAD,
    "half a body": HEAD + b'Content-Length: 40\r\n\r\n{"email": ',
    "a body that is no body": HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "answered": HEAD + b"Connection: close\r\n\r\n",
    "answered before the whole body": HEAD + b"Content-Length: 999999\r\n\r\n{",
    "several at once": 3 * (HEAD + b"Content-Length: 2\r\n\r\n{}"),
}


async def answer(scope: Scope, receive: Receive, _send: Send) -> None:
    status = 200
    try:
        if REFUSAL not in scope:
            await read_body(scope, receive)
    except ClientDisconnect:
        return
    except ServiceError:
        status = 400
    await scope[AT_ONCE](status, (), b"answer")


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("leaves", [False, True], ids=["sent away", "leaves"])
def test_a_connection_that_is_over_is_freed_at_once(name: str, leaves: bool) -> None:
    uvloop.run(a_connection_is_freed(ENDS[name], leaves=leaves))


async def a_connection_is_freed(request: bytes, *, leaves: bool) -> None:
    protocols = Protocols(answer, Limits(header_within=0.01, body_within=0.01, keep_alive=0.01))
    freed = asyncio.Event()
    made = []

    def protocol() -> asyncio.Protocol:
        its = protocols()
        made.append(weakref.ref(its, lambda _: freed.set()))
        return its

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    # Given a process in which the garbage collector does not run,
    gc.collect()
    gc.disable()
    try:
        # when a connection is opened, and ended by one side or the other,
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request)
        if leaves:
            await asyncio.sleep(0.02)
        else:
            await sent_away(reader, protocols.connections)
        writer.transport.abort()
        # then nothing of it is left.
        async with asyncio.timeout(30):
            await freed.wait()
    finally:
        gc.enable()
        server.close()


async def sent_away(reader: asyncio.StreamReader, connections: set[HttpProtocol]) -> None:
    """Until the server ends the connection, which it does at one of its looks."""
    ended = asyncio.create_task(reader.read())
    while not ended.done():
        for connection in tuple(connections):
            connection.look(asyncio.get_running_loop().time())
        await asyncio.sleep(0.02)
    with suppress(ConnectionError):
        ended.result()
