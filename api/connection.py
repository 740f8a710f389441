"""What a request needs to know of the connection that it came over: an extension of ASGI, given by our server."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from domain.errors import ServiceError

EXTENSION: Final = "preferences.connection"


@dataclass(slots=True)
class Drain:
    """Whether the server process is about to stop accepting connections. One for all of its connections."""

    begun: bool = False


@dataclass(slots=True)
class ClientConnection:
    """`ending` is set when the server is about to stop. `abort` drops the connection, with whatever the other side
    hasn't taken yet. `fault` says why the body that is being read will never be whole."""

    abort: Callable[[], None] = lambda: None
    drain: Drain = field(default_factory=Drain)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    fault: ServiceError | None = None


def connection(scope: Scope) -> ClientConnection:
    """Under another server: one of which nothing is known."""
    found: ClientConnection | None = scope.get("extensions", {}).get(EXTENSION)
    return found or ClientConnection()
