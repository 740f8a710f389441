"""The moment in which a process stops listening: connections that the kernel has completed are served, not reset."""

import asyncio
import socket

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from api.http.answer import AT_ONCE
from api.server.serving_loop import ServingLoop
from tests.support.protocols import Protocols
from tests.support.raw_http import request_head

CLIENTS = 20


async def answer(scope: Scope, _receive: Receive, _send: Send) -> None:
    await scope[AT_ONCE](200, (), b"answer")


async def what_waiting_clients_get(request: bytes) -> list[bytes | type[OSError]]:
    """The last lines of what clients get that were connected, and had sent this, when the process stopped listening."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = await loop.create_server(Protocols(answer), sock=listener)
        # The event loop gets no turn in between, so it accepts none of them.
        clients = [socket.create_connection(listener.getsockname()) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(request)
        server.close()
        await server.wait_closed()
    return [await loop.run_in_executor(None, received, client) for client in clients]


def received(client: socket.socket) -> bytes | type[OSError]:
    client.settimeout(20)
    with client, client.makefile("rb") as answers:
        try:
            return answers.read().rpartition(b"\n")[2]
        except OSError as error:
            return type(error)


@pytest.mark.parametrize(("request_", "answered"), [(request_head("GET", "/"), b"answer"), (b"", b"")])
def test_connections_that_wait_to_be_accepted_are_served_and_then_closed(request_: bytes, answered: bytes) -> None:
    with asyncio.Runner(loop_factory=ServingLoop) as runner:
        assert runner.run(what_waiting_clients_get(request_)) == [answered] * CLIENTS


def test_another_loop_has_them_reset() -> None:
    """The negative control."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(what_waiting_clients_get(request_head("GET", "/"))) == [ConnectionResetError] * CLIENTS
