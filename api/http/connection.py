"""What a request needs to know of the connection that it came over: an extension of ASGI, given by our server."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from domain.errors import ServiceError

EXTENSION: Final = "preferences.connection"


@dataclass(slots=True)
class Stopping:
    """How far a server process is with stopping; one for all of its connections. With `begun`, each answer ends its
    connection, while new ones are still accepted. `ending` is set when none is any more."""

    begun: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class ClientConnection:
    """`abort` drops the connection, with whatever the other side hasn't taken yet. `fault` says why the body that is being
    read will never be whole."""

    abort: Callable[[], None] = lambda: None
    server: Stopping = field(default_factory=Stopping)
    fault: ServiceError | None = None


def connection(scope: Scope) -> ClientConnection:
    """Under another server: one of which nothing is known."""
    found: ClientConnection | None = scope.get("extensions", {}).get(EXTENSION)
    return found or ClientConnection()
